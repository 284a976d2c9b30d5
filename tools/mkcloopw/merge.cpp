// SPDX-License-Identifier: GPL-2.0
#include "merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "lib/cloopw.h"
#include "lib/cow/log_writer.h"
#include "lib/cow/super.h"
#include "lib/escape.h"
#include "lib/size.h"
#include "new_log.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

extern "C" {
#include "layers.h"
}

namespace cloopw {

namespace {

namespace fs = std::filesystem;

constexpr u32 kRunLen = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE; /* compressed as one */

/* Layers over each other, without the file below them. */
class Stack {
public:
    struct Run {
        int place; /* CW_COW_* */
        u64 len;
    };

    /*
     * size: bytes of the device. image: read where the lowest has parts of pages; may be
     * nullptr.
     */
    Stack(std::vector<Io> ios, u64 size, const cw_cow_base &base, const Image *image)
        : ios_(std::move(ios)),
          size_(size),
          base_size_(base.size),
          image_(image),
          cache_(make_cache()) {
        std::vector<cw_io *> raw;
        raw.reserve(ios_.size());
        for (const Io &io : ios_) {
            raw.push_back(&io.get());
        }
        cw_layers *layers = nullptr;
        cw_report report = {};
        int err = cw_layers_open(raw.data(), static_cast<u32>(raw.size()), false, cache_.get(),
                                 &base, &layers, &report);
        if (err != 0) {
            throw error_of(report, err, ios_.front().name());
        }
        layers_.reset(layers);
    }

    u64 size() const { return size_; }

    /* Looks at whole pages from off on. A page that is only held in part is a hit. */
    Run run(u64 off) const {
        Run run = block_status(off, size_ - off);
        if (run.len % CW_PAGE_SIZE == 0 || off + run.len == size_) {
            return run;
        }
        if (run.len >= CW_PAGE_SIZE) {
            run.len &= ~u64{CW_PAGE_SIZE - 1};
            return run;
        }
        const u64 end = std::min(off + CW_PAGE_SIZE, size_);
        run = {CW_COW_MISS, end - off};
        for (u64 at = off; at < end;) {
            const Run part = block_status(at, end - at);
            run.place = part.place == CW_COW_MISS ? run.place : CW_COW_HIT;
            at += part.len;
        }
        return run;
    }

    void read(u8 *buf, u32 len, u64 off) const {
        while (len != 0) {
            const u32 n = read_start(buf, len, off);
            buf += n;
            off += n;
            len -= n;
        }
    }

private:
    Run block_status(u64 off, u64 len) const {
        for (u32 i = 0; i < layers_->nr; i++) {
            cw_cow *cow = layers_->layer[i];
            if (!cw_layers_reach(layers_.get(), i, off, &len)) {
                continue;
            }
            const int place = cow->format->block_status(cow, off, len, &len);
            if (place < 0) {
                throw unreadable(*cow, off, place);
            }
            if (place != CW_COW_MISS) {
                return {place, len};
            }
        }
        return {CW_COW_MISS, len};
    }

    u32 read_start(u8 *buf, u32 len, u64 off) const {
        for (u32 i = 0; i < layers_->nr; i++) {
            cw_cow *cow = layers_->layer[i];
            u64 most = len;
            if (!cw_layers_reach(layers_.get(), i, off, &most)) {
                continue;
            }
            len = static_cast<u32>(most);
            const int hit = cow->format->read(cow, off, len, buf, &len);
            if (hit < 0) {
                throw unreadable(*cow, off, hit);
            }
            if (hit == CW_COW_HIT) {
                return len;
            }
        }
        if (off >= base_size_) { /* a layer grew beyond it */
            std::fill_n(buf, len, u8{0});
            return len;
        }
        if (image_ == nullptr) {
            throw unreadable(*layers_->layer[layers_->nr - 1], off, EIO);
        }
        image_->read(buf, len, off);
        return len;
    }

    static Error unreadable(const cw_cow &cow, u64 off, int err) {
        return io_error(cow.io->name, fmt::format("cannot be read at byte {}", off), err);
    }

    std::vector<Io> ios_;
    const u64 size_;
    const u64 base_size_; /* the size below all layers */
    const Image *image_;
    CachePtr cache_;
    std::unique_ptr<cw_layers, CDeleter<cw_layers_close>> layers_;
};

/* ---- the layers ---- */

std::vector<CowLayer> choose_layers(const std::vector<std::string> &given) {
    std::vector<CowLayer> layers;
    layers.reserve(given.size() + 1);
    for (const std::string &path : given) {
        layers.push_back(identify_cow(path));
    }
    if (layers.size() == 1) {
        const CowLayer &upper = layers.front();
        if (!upper.over_layer) {
            throw Error(upper.path + ": lies over the image " + upper.below +
                            ", not over another COW file, so there is nothing to merge it with",
                        EINVAL);
        }
        layers.push_back(find_cow_parent(upper));
    }
    return layers;
}

bool is_log(const CowLayer &layer) { return layer.format == cw_cow_log.name; }

struct cw_disk_log_super super_of(const CowLayer &layer, const Io &io) {
    auto super = read_log_super(io.fd(), layer.path);
    if (!super) {
        throw Error(layer.path + ": truncated or damaged: neither superblock is sound", EINVAL);
    }
    return *super;
}

/* A page of a UML file may hold some sectors, and show others of the image below. */
std::optional<Image> open_image_below(const MergeJob &job, const CowLayer &lowest) {
    if (is_log(lowest)) {
        if (!job.image.empty()) {
            throw Error(job.image +
                            ": the image is only needed when the lowest layer is UML's, "
                            "and " +
                            lowest.path + " is not; leave it away",
                        EINVAL);
        }
        return std::nullopt;
    }
    if (job.image.empty()) {
        throw Error(lowest.path + ": sectors of it are merged with those of the image below, " +
                        lowest.below + " as it says; name that: mkcloopw --merge " +
                        job.layers.front() + " IMAGE " + job.output,
                    EINVAL);
    }
    return Image(Io::open(job.image, Io::Mode::kRead), job.image_format);
}

/* The base of the new file: the base of the lowest layer. The size is that below, too. */
LogCowConfig config_below(const CowLayer &lowest, const Io &io, const std::optional<Image> &image,
                          const std::string &output) {
    LogCowConfig config;
    if (image) {
        config.size = cw_round_up(image->size(), CW_SECTOR_SIZE);
        std::copy_n(image->info().uuid, config.base_uuid.size(), config.base_uuid.begin());
        config.base_mtime = image->io().get().mtime;
        config.parent = fs::absolute(image->io().name()).lexically_normal();
        return config;
    }
    const struct cw_disk_log_super super = super_of(lowest, io);
    config.size = lowest.below_size;
    config.base_uuid = lowest.below_uuid;
    config.base_digest = base_digest_of(super);
    config.base_mtime = static_cast<s64>(cw_from_le64(super.base_mtime));
    config.over_layer = lowest.over_layer;
    config.parent = lowest.below;
    if (lowest.over_layer) {
        fs::path below(lowest.below);
        if (below.is_relative()) {
            below = fs::path(lowest.path).parent_path() / below;
        }
        config.parent = cow_parent_hint(output, below);
    }
    return config;
}

cw_cow_base base_of(const LogCowConfig &config) {
    cw_cow_base base = {};
    base.size = config.size;
    base.mtime = config.base_mtime;
    base.name = config.parent.c_str();
    std::copy(config.base_uuid.begin(), config.base_uuid.end(), base.uuid);
    base.is_layer = config.over_layer;
    return base;
}

/* Codec and level of the upper layer, unless the user has chosen others. */
void choose_codec(const MergeJob &job, const struct cw_disk_log_super &upper,
                  LogCowConfig *config) {
    const cw_codec *codec = codec_of(upper);
    if (job.codec) {
        config->codec = *job.codec;
    } else if (codec != nullptr) {
        config->codec = codec->name;
        config->level = static_cast<int>(cw_from_le32(upper.codec_level));
    }
    config->level = job.level.value_or(config->level);
}

/* ---- merging ---- */

/* Pages that some layer holds, up to kRunLen. A page that no layer holds ends them. */
u32 extend(const Stack &stack, u64 off, u64 len) {
    const u64 end = std::min(off + kRunLen, stack.size());
    while (off + len < end) {
        const Stack::Run more = stack.run(off + len);
        if (more.place != CW_COW_HIT) {
            break;
        }
        len += more.len;
    }
    return static_cast<u32>(std::min(len, end - off));
}

void copy(const Stack &stack, NewLog &log, const MergeJob &job, Progress &progress) {
    std::vector<u8> buffer(kRunLen);
    for (u64 off = 0; off < stack.size();) {
        if (job.cancelled != nullptr && *job.cancelled) {
            throw Error("interrupted", EINTR);
        }
        Stack::Run run = stack.run(off);
        if (run.place == CW_COW_HIT) {
            const u32 len = extend(stack, off, run.len);
            std::fill(buffer.begin(), buffer.end(), u8{0});
            stack.read(buffer.data(), len, off);
            log.write(buffer.data(), cw_round_up(len, CW_PAGE_SIZE), off);
            run.len = len;
        } else if (run.place == CW_COW_ZERO) {
            log.zero(off, cw_round_up(run.len, CW_PAGE_SIZE));
        }
        off += run.len;
        progress.update(off);
    }
}

OutputFileOptions output_options(const MergeJob &job, const std::vector<CowLayer> &layers) {
    OutputFileOptions options;
    for (const CowLayer &layer : layers) {
        options.inputs.push_back(layer.path);
    }
    options.inputs.push_back(job.image);
    options.force = job.force;
    return options;
}

}  // namespace

MergeResult merge_layers(const MergeJob &job, Streams &streams) {
    MergeResult result;
    result.layers = choose_layers(job.layers);
    std::vector<Io> ios = open_cow_chain(result.layers, Io::Mode::kRead);
    const CowLayer &upper = result.layers.front();
    if (!is_log(upper)) {
        throw Error(upper.path + ": is a COW file of format " + upper.format +
                        ", which lies over an image, never over another COW file",
                    EINVAL);
    }
    const struct cw_disk_log_super settings = super_of(upper, ios.front());
    std::optional<Image> image = open_image_below(job, result.layers.back());
    LogCowConfig config = config_below(result.layers.back(), ios.back(), image, job.output);
    config.uuid = upper.uuid;
    choose_codec(job, settings, &config);
    const cw_cow_base base = base_of(config);
    config.base_size = config.size;
    config.size = upper.size;
    Stack stack(std::move(ios), upper.size, base, image ? &*image : nullptr);

    OutputFile output(job.output, output_options(job, result.layers));
    want_file(output, job.output);
    write_log_cow(output.io().fd(), job.output, config);
    NewLog log(output.io(), base);
    {
        Progress progress(streams, !job.quiet, stack.size());
        copy(stack, log, job, progress);
    }
    const u64 limit = cw_from_le64(settings.limit);
    result.limit_left_out = !upper.frozen && limit != 0 && !log.set_limit(limit);
    if (upper.frozen) {
        log.freeze(upper.uuid);
    }
    result.plain_bytes = log.plain_bytes();
    log.finish();
    output.commit();
    result.frozen = upper.frozen;
    result.below = config.parent;
    for (const CowLayer &layer : result.layers) {
        result.input_bytes += space_of(layer.path);
    }
    result.output_bytes = space_of(job.output);
    return result;
}

Json merge_json(const MergeJob &job, const MergeResult &result, double seconds) {
    Json json;
    json["layers"] = Json::array();
    for (const CowLayer &layer : result.layers) {
        json["layers"].push_back(layer.path);
    }
    json["output"] = job.output;
    json["below"] = result.below;
    json["uuid"] = uuid_text(result.layers.front().uuid);
    json["frozen"] = result.frozen;
    json["input_bytes"] = result.input_bytes;
    json["output_bytes"] = result.output_bytes;
    json["plain_bytes"] = result.plain_bytes;
    json["limit_left_out"] = result.limit_left_out;
    json["seconds"] = seconds;
    return json;
}

std::string merge_text(const MergeJob &job, const MergeResult &result, double seconds) {
    std::string names;
    for (const CowLayer &layer : result.layers) {
        names += (names.empty() ? "" : " + ") + escaped(layer.path);
    }
    std::string text =
        fmt::format("{}: {} ({}) -> {}, {} of the device, over {}; {:.1f} s\n", escaped(job.output),
                    names, format_size(result.input_bytes), format_size(result.output_bytes),
                    format_size(result.plain_bytes), escaped(result.below), seconds);
    if (result.limit_left_out) {
        text += escaped(job.output) + ": has no --cow-limit: that of " +
                escaped(result.layers.front().path) + " is too low for both\n";
    }
    return text;
}

}  // namespace cloopw
