// SPDX-License-Identifier: GPL-2.0
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>

#include "jobs.h"
#include "ordered_pool.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

constexpr u32 kChunkLen = 1 << 18; /* at least so much at once */
constexpr u32 kHoleLen = 4096;     /* zeros of this length are left out */
constexpr unsigned kWindowPerThread = 3;

/* Reads and decompresses in many threads. A subclass writes the result. */
class ExtractWork : public OrderedWork {
public:
    explicit ExtractWork(const Input &input)
        : device_(input.device()), size_(input.size()), chunk_len_(chunk_len(device_.image())) {}

    bool claim(unsigned /*thread*/, u64 n, Block &block) override {
        u64 off = n * chunk_len_;
        if (off >= size_) {
            return false;
        }
        block.plain_len = static_cast<u32>(cw_min(chunk_len_, size_ - off));
        return true;
    }

    void work(unsigned /*thread*/, u64 n, Block &block) override {
        if (block.plain.size() < chunk_len_) {
            block.plain.resize(chunk_len_);
        }
        device_.read(block.plain.data(), block.plain_len, n * chunk_len_);
        put(n * chunk_len_, block);
    }

    void emit(u64 /*n*/, Block &block) override {
        put_ordered(block);
        done_ += block.plain_len;
    }

    u64 done() const { return done_; }

protected:
    virtual void put(u64 off, const Block &block) = 0;
    virtual void put_ordered(const Block &block) = 0;

private:
    /* Whole blocks, so that none is decompressed twice. */
    static u32 chunk_len(const cw_image &image) {
        u32 block = std::max(image.block_size, 1u);
        return block >= kChunkLen ? block : kChunkLen / block * block;
    }

    const Device &device_;
    const u64 size_;
    const u32 chunk_len_;
    std::atomic<u64> done_ = 0;
};

/* Writes in any order: to a file without its zeros, to a device with them. */
class FileWork : public ExtractWork {
public:
    FileWork(const Input &input, const OutputFile &output)
        : ExtractWork(input), io_(output.io()), sparse_(!output.is_device()) {}

protected:
    void put(u64 off, const Block &block) override {
        if (!sparse_) {
            io_.write(block.plain.data(), block.plain_len, off);
            return;
        }
        u32 at = 0;
        while (at < block.plain_len) {
            u32 begin = run_end(block, at, true);
            u32 end = run_end(block, begin, false);
            if (end > begin) {
                io_.write(block.plain.data() + begin, end - begin, off + begin);
            }
            at = end;
        }
    }

    void put_ordered(const Block & /*block*/) override {}

private:
    /* Returns the end of the run of zeros, or of other data, that begins at `at`. */
    static u32 run_end(const Block &block, u32 at, bool zeros) {
        while (at < block.plain_len) {
            u32 len = std::min(kHoleLen, block.plain_len - at);
            if (all_zero(block.plain.data() + at, len) != zeros) {
                break;
            }
            at += len;
        }
        return at;
    }

    const Io &io_;
    const bool sparse_;
};

/* Writes to a pipe, in order. */
class StreamWork : public ExtractWork {
public:
    StreamWork(const Input &input, int fd) : ExtractWork(input), fd_(fd) {}

protected:
    void put(u64 /*off*/, const Block & /*block*/) override {}

    void put_ordered(const Block &block) override {
        write_stdout(fd_, block.plain.data(), block.plain_len);
    }

private:
    const int fd_;
};

void finish(OutputFile &file, u64 size) {
    if (!file.is_device() && ::ftruncate(file.io().fd(), static_cast<off_t>(size)) != 0) {
        throw io_error(file.io().name(), "cannot be given its size", errno);
    }
    file.commit();
}

}  // namespace

ExtractResult extract(const Job &job, const Input &input, Streams &streams) {
    std::optional<OutputFile> file;
    std::unique_ptr<ExtractWork> work;
    if (job.output == "-") {
        work = std::make_unique<StreamWork>(input, streams.out_fd);
    } else {
        OutputFileOptions how;
        how.inputs = input.files();
        how.force = job.force;
        how.size = input.size();
        file.emplace(job.output, how);
        work = std::make_unique<FileWork>(input, *file);
    }

    Progress progress(streams, !job.quiet, input.size());
    OrderedPoolConfig pool = {job.threads, job.threads * kWindowPerThread, job.cancelled,
                              [&] { progress.update(work->done()); }};
    if (!file) {
        OrderedPool(pool, *work).run();
    } else {
        file->fill([&] {
            OrderedPool(pool, *work).run();
            finish(*file, input.size());
        });
    }
    return {input.size(), input.device().image().format->name, input.device().base().size()};
}

}  // namespace cloopw
