// SPDX-License-Identifier: GPL-2.0
#include <algorithm>
#include <memory>

#include "block_order.h"
#include "jobs.h"
#include "ordered_pool.h"
#include "source.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

/*
 * A thread has one plain buffer, and a block in the window has one for its stored form. The
 * window has three blocks a thread and a few more, up to some MiB. So the other threads go
 * on while the system takes one thread's processor.
 */
constexpr unsigned kWindowPerThread = 3;
constexpr unsigned kMoreBlocks = 64;
constexpr u32 kMoreBytes = 4 << 20;

unsigned window_of(const Job &job) {
    return job.threads * kWindowPerThread +
           std::min(kMoreBlocks, kMoreBytes / job.options.block_size);
}

u64 blocks_of(const Job &job, const Source &source) {
    return source.size() ? cw_div_up(*source.size(), job.options.block_size) : UINT64_MAX;
}

BlockOrder order_of(const Job &job, const Source &source) {
    return BlockOrder::read(job.orders, blocks_of(job, source), job.options.block_size);
}

class CompressWork : public OrderedWork {
public:
    CompressWork(const Job &job, Source &source, BlockOrder order, ImageWriter &writer)
        : source_(source),
          writer_(writer),
          order_(std::move(order)),
          left_(blocks_of(job, source)),
          threads_(job.threads) {
        for (Thread &thread : threads_) {
            thread.codec = std::make_unique<Codec>(*job.options.codec, job.options.level,
                                                   job.options.block_size);
        }
    }

    bool claim(unsigned thread, u64 /*n*/, Block &block) override {
        if (left_ == 0) {
            return false;
        }
        left_--;
        block.number = order_.next();
        block.plain.swap(threads_[thread].plain);
        bool more = source_.claim(block);
        block.plain.swap(threads_[thread].plain);
        return more;
    }

    void work(unsigned thread, u64 /*n*/, Block &block) override {
        block.plain.swap(threads_[thread].plain);
        source_.fill(block);
        writer_.encode(*threads_[thread].codec, block);
        block.plain.swap(threads_[thread].plain);
    }

    void emit(u64 /*n*/, Block &block) override {
        writer_.append(block);
        done_ += block.plain_len;
    }

    u64 done() const { return done_; }

private:
    struct Thread {
        std::unique_ptr<Codec> codec;
        std::vector<u8> plain;
    };

    Source &source_;
    ImageWriter &writer_;
    BlockOrder order_;            /* with claim */
    u64 left_;                    /* with claim; blocks, or many if their number is not known */
    std::vector<Thread> threads_; /* each its own */
    std::atomic<u64> done_ = 0;
};

}  // namespace

CompressResult compress(const Job &job, const Input &input, Streams &streams) {
    bool copy =
        !input.is_stream() && can_copy_blocks(*job.format, job.options, input.device().image());
    std::unique_ptr<Source> source =
        make_source(input, {job.options.block_size, copy, job.cancelled});
    OutputFileOptions how;
    how.inputs = input.files();
    how.secret = input.is_secret();
    how.force = job.force;
    how.out_fd = streams.out_fd;
    OutputFile output(job.output, how);

    BlockOrder order = order_of(job, *source);
    ImageWriterOptions options = job.options;
    options.size = source->size();
    options.boot_blocks = order.listed();
    std::unique_ptr<ImageWriter> writer = job.format->create(output.io(), options);

    Progress progress(streams, !job.quiet, source->size().value_or(0));
    CompressWork work(job, *source, std::move(order), *writer);
    OrderedPoolConfig pool = {job.threads, window_of(job), job.cancelled,
                              [&] { progress.update(work.done()); }};
    output.fill([&] {
        OrderedPool(pool, work).run();
        writer->finish();
        output.commit();
    });
    return {writer->stats(), writer->uuid()};
}

}  // namespace cloopw
