// SPDX-License-Identifier: GPL-2.0
#include "diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "lib/cow/cow_file.h"
#include "lib/escape.h"
#include "lib/file_kind.h"
#include "lib/net/source.h"
#include "lib/net/url.h"
#include "lib/size.h"
#include "new_log.h"
#include "ordered_pool.h"
#include "tools/common/progress.h"

namespace cloopw {

namespace {

constexpr u32 kChunkLen = 4 << 20;
constexpr unsigned kWindowPerThread = 2;

u64 device_size(u64 bytes) { return cw_round_up(bytes, CW_SECTOR_SIZE); }

/* Compares in many threads. Each writes what it finds, in any order. */
class DiffWork : public OrderedWork {
public:
    DiffWork(const Image &base, const Input &input, NewLog &log, unsigned threads)
        : base_(base),
          device_(input.device()),
          bytes_(input.size()),
          size_(device_size(bytes_)),
          log_(log),
          buffers_(threads) {}

    bool claim(unsigned /*thread*/, u64 n, Block &block) override {
        const u64 off = n * kChunkLen;
        if (off >= size_) {
            return false;
        }
        block.plain_len = static_cast<u32>(cw_min(u64{kChunkLen}, size_ - off));
        return true;
    }

    void work(unsigned thread, u64 n, Block &block) override {
        const u64 off = n * kChunkLen;
        const u32 len = cw_round_up(block.plain_len, CW_PAGE_SIZE);
        Buffers &buffers = buffers_[thread];
        read(device_, bytes_, buffers.input, len, off);
        read(base_, base_.size(), buffers.base, len, off);
        for (u32 at = 0; at < len;) {
            const u32 begin = run_end(buffers, at, len, false);
            const u32 end = run_end(buffers, begin, len, true);
            if (end > begin) {
                log_.write(buffers.input.data() + begin, end - begin, off + begin);
            }
            at = end;
        }
    }

    void emit(u64 /*n*/, Block &block) override { done_ += block.plain_len; }

    u64 size() const { return size_; }
    u64 done() const { return done_; }

private:
    struct Buffers {
        std::vector<u8> base = std::vector<u8>(kChunkLen);
        std::vector<u8> input = std::vector<u8>(kChunkLen);
    };

    /* Zeros follow the last of the bytes. */
    template <typename From>
    static void read(const From &from, u64 bytes, std::vector<u8> &to, u32 len, u64 off) {
        const u32 n = off < bytes ? static_cast<u32>(cw_min(u64{len}, bytes - off)) : 0;
        if (n != 0) {
            from.read(to.data(), n, off);
        }
        std::fill(to.begin() + n, to.begin() + len, u8{0});
    }

    /* The end of the run of equal pages, or of different ones, that begins at `at`. */
    static u32 run_end(const Buffers &buffers, u32 at, u32 len, bool differ) {
        while (at < len && differs(buffers, at) == differ) {
            at += CW_PAGE_SIZE;
        }
        return at;
    }

    static bool differs(const Buffers &buffers, u32 at) {
        return memcmp(buffers.input.data() + at, buffers.base.data() + at, CW_PAGE_SIZE) != 0;
    }

    const Image &base_;
    const Device &device_;
    const u64 bytes_; /* content of the input */
    const u64 size_;  /* content of the device with the log */
    NewLog &log_;
    std::vector<Buffers> buffers_; /* one a thread */
    std::atomic<u64> done_ = 0;
};

Image open_base(const DiffJob &job) {
    Io io = open_source(job.base);
    if (io.size() == 0) {
        throw Error(shown_name(job.base) + ": is empty; name the image that the COW file is for",
                    EINVAL);
    }
    Image base(std::move(io));
    if (base.info().format == &cw_image_raw && !job.raw) {
        refuse_unlikely_raw(base.io(), "-I raw");
    }
    return base;
}

/* A device over the base is as long as the base, or it has grown in pages. */
void check_sizes(const Image &base, const Input &input) {
    const u64 below = device_size(base.size());
    const u64 size = device_size(input.size());
    if (size < below) {
        throw Error(fmt::format("{}: has {} bytes, and a device over {} has {} at least; "
                                "lengthen it to that, or ship it as an image of its own",
                                input.name(), input.size(), base.io().name(), below),
                    EINVAL);
    }
    if (size > below && size % CW_PAGE_SIZE != 0) {
        throw Error(fmt::format("{}: has {} bytes, and {} has {}; a device grows in steps of {}, "
                                "so lengthen it to {}",
                                input.name(), input.size(), base.io().name(), base.size(),
                                CW_PAGE_SIZE, cw_round_up(size, CW_PAGE_SIZE)),
                    EINVAL);
    }
}

Uuid uuid_of(const cw_image &image) {
    Uuid uuid = {};
    std::copy_n(image.uuid, uuid.size(), uuid.begin());
    return uuid;
}

/* The log that an attach over the base would make. */
LogCowConfig config_of(const DiffJob &job, const Image &base, const Input &input) {
    const CowBase below = {shown_name(job.base), base.io().get().mtime, base.size(),
                           uuid_of(base.info()), false};
    CowSettings settings;
    settings.codec = job.codec;
    settings.level = job.level;
    const u64 size = device_size(input.size());
    settings.device_size = size > device_size(base.size()) ? size : 0;
    return log_cow_config(job.output, below, settings);
}

cw_cow_base below_of(const Image &base) {
    cw_cow_base below = {};
    below.size = device_size(base.size());
    below.mtime = base.io().get().mtime;
    below.name = base.io().name();
    below.digest = base.info().digest;
    std::copy_n(base.info().uuid, CW_UUID_LEN, below.uuid);
    return below;
}

OutputFileOptions output_options(const DiffJob &job, const Input &input) {
    OutputFileOptions options;
    options.inputs = input.files();
    if (!is_remote(job.base)) {
        options.inputs.push_back(without_file_scheme(job.base));
    }
    options.force = job.force;
    return options;
}

void compare(const DiffJob &job, DiffWork &work, Streams &streams) {
    Progress progress(streams, !job.quiet, work.size());
    OrderedPoolConfig pool = {job.threads, job.threads * kWindowPerThread, job.cancelled,
                              [&] { progress.update(work.done()); }};
    OrderedPool(pool, work).run();
}

}  // namespace

DiffResult diff(const DiffJob &job, const Input &input, Streams &streams) {
    const Image base = open_base(job);
    check_sizes(base, input);
    OutputFile output(job.output, output_options(job, input));
    want_file(output, job.output);
    const LogCowConfig config = config_of(job, base, input);
    write_log_cow(output.io().fd(), job.output, config);
    NewLog log(output.io(), below_of(base));
    DiffWork work(base, input, log, job.threads);
    compare(job, work, streams);
    DiffResult result;
    result.plain_bytes = log.plain_bytes();
    if (job.frozen) {
        log.freeze(config.uuid);
    }
    log.finish();
    output.commit();
    result.uuid = config.uuid;
    result.base_bytes = base.size();
    result.input_bytes = work.size();
    result.output_bytes = space_of(job.output);
    return result;
}

Json diff_json(const DiffJob &job, const Input &input, const DiffResult &result, double seconds) {
    Json json;
    json["base"] = job.base;
    json["input"] = input.name();
    json["output"] = job.output;
    json["uuid"] = uuid_text(result.uuid);
    json["codec"] = job.codec->name;
    json["level"] = job.level;
    json["frozen"] = job.frozen;
    json["base_bytes"] = result.base_bytes;
    json["input_bytes"] = result.input_bytes;
    json["plain_bytes"] = result.plain_bytes;
    json["output_bytes"] = result.output_bytes;
    json["seconds"] = seconds;
    return json;
}

std::string diff_text(const DiffJob &job, const DiffResult &result, double seconds) {
    return fmt::format("{}: {} of {} differ from {} -> {}; {:.1f} s\n", escaped(job.output),
                       format_size(result.plain_bytes), format_size(result.input_bytes),
                       escaped(job.base), format_size(result.output_bytes), seconds);
}

}  // namespace cloopw
