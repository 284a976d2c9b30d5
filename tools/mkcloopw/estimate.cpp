// SPDX-License-Identifier: GPL-2.0
#include <algorithm>
#include <memory>

#include "jobs.h"
#include "ordered_pool.h"
#include "source.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

constexpr u64 kSampleBytes = 16 << 20;
constexpr u64 kLeastBlocks = 64;
constexpr u64 kMostBlocks = 1024; /* more small ones say no more */
constexpr u64 kIndexBytes = 16;   /* about; a block's, in any format */

/* One codec's result for a block, in the stored form of the format's own writer. */
class Candidate {
public:
    Candidate(const Job &job, const cw_codec &codec, unsigned threads)
        : io_(Io::memory("estimate")), options_(job.options) {
        options_.codec = &codec;
        if (&codec != job.options.codec) {
            options_.level = codec.default_level;
        }
        writer_ = job.format->create(io_, options_);
        for (unsigned i = 0; i < threads; i++) {
            codecs_.push_back(std::make_unique<Codec>(codec, options_.level, options_.block_size));
        }
    }

    /* Compresses a copy of the block in scratch, which each thread has for itself. */
    u32 stored_len(unsigned thread, const Block &block, Block &scratch) {
        scratch.zero = block.zero;
        scratch.plain_len = block.plain_len;
        scratch.plain = block.plain;
        writer_->encode(*codecs_[thread], scratch);
        return scratch.stored_len;
    }

    const ImageWriterOptions &options() const { return options_; }

private:
    const Io io_;
    ImageWriterOptions options_;
    std::unique_ptr<ImageWriter> writer_;
    std::vector<std::unique_ptr<Codec>> codecs_; /* one a thread */
};

/*
 * Takes one block of each of equal parts of the image. Its place in the part looks random,
 * because file systems repeat themselves at round distances.
 */
class EstimateWork : public OrderedWork {
public:
    EstimateWork(const Job &job, Source &source, u64 blocks, u64 samples)
        : source_(source), blocks_(blocks), samples_(samples), scratch_(job.threads) {
        for (unsigned int i = 0; i < cw_codecs_count; i++) {
            const cw_codec &codec = *cw_codecs[i];
            if ((job.format->codecs & CW_CODEC_BIT(codec.id)) != 0 &&
                (!job.one_codec || &codec == job.options.codec)) {
                candidates_.push_back(std::make_unique<Candidate>(job, codec, job.threads));
            }
        }
        sums_ = std::vector<std::atomic<u64>>(candidates_.size());
    }

    bool claim(unsigned /*thread*/, u64 n, Block &block) override {
        if (n == samples_) {
            return false;
        }
        u64 begin = blocks_ * n / samples_;
        u64 end = blocks_ * (n + 1) / samples_;
        block.number = begin + n * 2654435761U % (end - begin);
        return source_.claim(block);
    }

    void work(unsigned thread, u64 /*n*/, Block &block) override {
        source_.fill(block);
        for (size_t i = 0; i < candidates_.size(); i++) {
            sums_[i] += candidates_[i]->stored_len(thread, block, scratch_[thread]);
        }
    }

    void emit(u64 /*n*/, Block &block) override { done_ += block.plain_len; }

    u64 done() const { return done_; }

    std::vector<EstimateResult::Line> lines() const {
        std::vector<EstimateResult::Line> lines;
        for (size_t i = 0; i < candidates_.size(); i++) {
            const ImageWriterOptions &options = candidates_[i]->options();
            /* In floating point, because a product may need more than 64 bits. */
            double stored = static_cast<double>(sums_[i]) * static_cast<double>(blocks_) /
                            static_cast<double>(samples_);
            lines.push_back({options.codec->name, options.level,
                             static_cast<u64>(stored) + blocks_ * kIndexBytes + CW_SUPER_LEN});
        }
        return lines;
    }

private:
    Source &source_;
    const u64 blocks_;
    const u64 samples_;
    std::vector<std::unique_ptr<Candidate>> candidates_;
    std::vector<Block> scratch_;         /* one a thread */
    std::vector<std::atomic<u64>> sums_; /* stored bytes, one a candidate */
    std::atomic<u64> done_ = 0;
};

}  // namespace

EstimateResult estimate(const Job &job, const Input &input, Streams &streams) {
    std::unique_ptr<Source> source =
        make_source(input, {job.options.block_size, false, job.cancelled});
    u64 blocks = cw_div_up(input.size(), job.options.block_size);
    u64 samples = std::clamp(kSampleBytes / job.options.block_size, kLeastBlocks, kMostBlocks);
    samples = cw_min(samples, blocks);

    Progress progress(streams, !job.quiet, samples * job.options.block_size);
    EstimateWork work(job, *source, blocks, samples);
    OrderedPoolConfig pool = {job.threads, job.threads, job.cancelled,
                              [&] { progress.update(work.done()); }};
    OrderedPool(pool, work).run();
    return {input.size(), blocks, samples, work.lines()};
}

}  // namespace cloopw
