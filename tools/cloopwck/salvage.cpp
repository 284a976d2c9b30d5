// SPDX-License-Identifier: GPL-2.0
#include "salvage.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "file_check.h"
#include "lib/cow/chain.h"
#include "lib/cow/lock.h"
#include "lib/cow/super.h"
#include "lib/image/image_writer.h"
#include "tools/common/output_file.h"

namespace cloopw {

namespace {

namespace fs = std::filesystem;

/* ---- images ---- */

const ImageWriterFormat &writer_for(const cw_image &image) {
    if (image.format == &cw_image_cloopw) {
        return image_writer_cloopw;
    }
    return image.format == &cw_image_cloop4 ? image_writer_cloop4 : image_writer_cloop2;
}

ImageWriterOptions options_of(const cw_image &image, const ImageWriterFormat &format) {
    ImageWriterOptions options;
    options.block_size = image.block_size;
    options.codec =
        image.made_codec != nullptr ? image.made_codec : cw_codec_by_name(format.default_codec);
    options.level = image.made_codec != nullptr ? image.made_level : options.codec->default_level;
    std::copy_n(image.uuid, options.uuid.size(), options.uuid.begin());
    options.label = image.label;
    options.size = image.size;
    return options;
}

/* Takes over stored blocks if the format allows it, and otherwise compresses anew. */
class ImageSalvage {
public:
    ImageSalvage(cw_image &image, const Io &out)
        : image_(image),
          format_(writer_for(image)),
          options_(options_of(image, format_)),
          codec_(*options_.codec, options_.level, options_.block_size),
          writer_(format_.create(out, options_)) {
        block_.plain.resize(image.block_size);
    }

    SalvageResult run(const CheckOptions &options) {
        ImageTotals totals = visit_image(image_, options, [&](const ImagePart &part) {
            add(part);
            options.advance(0);
        });
        if (!totals.complete) {
            throw Error(std::string(image_.io->name) +
                        ": its index leads to the same pages again and again");
        }
        writer_->finish();
        return std::move(result_);
    }

private:
    void add(const ImagePart &part) {
        if (part.state == ImagePart::State::kBad) {
            result_.findings.damage(part.what, part.why, part.range);
            result_.lost_bytes += part.range.len;
        } else {
            result_.copied_bytes += part.range.len;
        }
        const u64 first = part.range.off / image_.block_size;
        const u64 count = cw_div_up(part.range.len, image_.block_size);
        for (u64 n = first; n < first + count; n++) {
            add_block(n, part);
        }
    }

    void add_block(u64 n, const ImagePart &part) {
        block_.number = n;
        block_.plain_len = cw_image_block_len(&image_, n);
        block_.zero = part.state != ImagePart::State::kStored;
        block_.copied = false;
        if (!block_.zero && format_.copies_from == image_.format) {
            copy_stored(n);
        } else if (!block_.zero) {
            memcpy(block_.plain.data(), part.plain, block_.plain_len);
        }
        writer_->encode(codec_, block_);
        writer_->append(block_);
    }

    void copy_stored(u64 n) {
        cw_extent extent = {};
        block_.stored.resize(std::max<size_t>(block_.stored.size(), image_.max_stored));
        if (cw_image_read_stored(&image_, n, &extent, block_.stored.data()) != 0) {
            throw Error(std::string(image_.io->name) + ": changes while it is read");
        }
        block_.stored_len = extent.stored;
        block_.codec = extent.codec;
        block_.crc = extent.crc;
        block_.copied = true;
    }

    cw_image &image_;
    const ImageWriterFormat &format_;
    const ImageWriterOptions options_;
    Codec codec_;
    std::unique_ptr<ImageWriter> writer_;
    Block block_;
    SalvageResult result_;
};

SalvageResult salvage_image(const SalvageJob &job, const Io &in, const Io &out,
                            const CheckOptions &options) {
    WholeFile whole = WholeFile::image(in, job.format);
    OpenedImage image(whole.io(), job.format);
    if (!image.refusal().empty()) {
        throw Error(job.path + ": " + image.refusal() + "; nothing can be salvaged from it",
                    EINVAL);
    }
    if (image.get().block_size == 0) {
        SalvageResult result = copy_readable(whole.io(), out, image.get().size, options);
        if (ftruncate(out.fd(), static_cast<off_t>(image.get().size)) != 0) {
            throw io_error(out.name(), "cannot be given its size", errno);
        }
        return result;
    }
    return ImageSalvage(image.get(), out).run(options);
}

/* ---- COW files ---- */

u64 random_generation() {
    u64 generation = 0;
    if (getrandom(&generation, sizeof(generation), 0) != ssize_t{sizeof(generation)}) {
        throw Error("cannot get random numbers for a COW", errno);
    }
    return 1 + generation % (u64{1} << 46);
}

/* A name without a slash is of a file beside the old one. */
std::string parent_from(const SalvageJob &job, const std::string &parent) {
    fs::path below(parent);
    if (parent.empty() || below.is_absolute()) {
        return parent;
    }
    return cow_parent_hint(job.output, (fs::path(job.path).parent_path() / below).string());
}

LogCowConfig config_of(const SalvageJob &job, const cw_disk_log_super &super) {
    LogCowConfig config;
    config.size = cw_from_le64(super.size);
    config.base_size = cw_log_base_size(&super);
    std::copy(std::begin(super.uuid), std::end(super.uuid), config.uuid.begin());
    std::copy(std::begin(super.base_uuid), std::end(super.base_uuid), config.base_uuid.begin());
    config.base_digest = base_digest_of(super);
    config.base_mtime = static_cast<s64>(cw_from_le64(super.base_mtime));
    config.over_layer = (cw_from_le64(super.incompat) & CW_LOG_INCOMPAT_OVER_LAYER) != 0;
    config.parent =
        parent_from(job, std::string(super.parent, strnlen(super.parent, sizeof(super.parent))));
    config.limit = cw_from_le64(super.limit);
    const cw_codec *codec = cw_codec_by_id(cw_from_le32(super.codec));
    if (codec != nullptr && (CW_CODEC_BIT(codec->id) & CW_LOG_CODECS) != 0) {
        codec = super.codec_hc != cw_to_le32(0) ? &cw_codec_lz4hc : codec;
        const s32 level = static_cast<s32>(cw_from_le32(super.codec_level));
        config.codec = codec->name;
        config.level = level >= codec->min_level && level <= codec->max_level ? level : 0;
    }
    return config;
}

/* The UUID of the file below that a layer names. */
Uuid uuid_wanted_by(const std::string &path) {
    const CowLayer above = identify_cow(path);
    if (!above.over_layer || above.below_uuid == Uuid{}) {
        throw Error(path + ": does not lie over a COW file with a UUID", EINVAL);
    }
    return above.below_uuid;
}

/* Both superblocks are lost. The file below tells what they said of it. */
LogCowConfig config_from_below(const SalvageJob &job) {
    if (job.below.empty()) {
        throw Error(job.path +
                        ": neither superblock is sound; say what it was made for: "
                        "--salvage OUT -c " +
                        job.path +
                        " IMAGE (with --above LAYER if one lies over it); or that it is no COW "
                        "file: --input-format raw",
                    EINVAL);
    }
    LogCowConfig config;
    config.uuid = random_uuid();
    config.parent = cow_parent_hint(job.output, job.below);
    Io io = Io::open(job.below, Io::Mode::kRead);
    if (job.below_is_cow) {
        OpenedCow below(io.get());
        if (!below.refusal().empty()) {
            throw Error(job.below + ": " + below.refusal(), EINVAL);
        }
        config.size = below.get().size;
        config.over_layer = true;
        std::copy(std::begin(below.get().uuid), std::end(below.get().uuid),
                  config.base_uuid.begin());
    } else {
        Image image(std::move(io), job.format);
        config.size = cw_round_up(image.size(), CW_SECTOR_SIZE);
        std::copy(std::begin(image.info().uuid), std::end(image.info().uuid),
                  config.base_uuid.begin());
    }
    struct stat st = {};
    if (config.base_uuid == Uuid{} && stat(job.below.c_str(), &st) == 0 && S_ISREG(st.st_mode)) {
        config.base_mtime = st.st_mtime;
    }
    return config;
}

SalvageResult salvage_cow(const SalvageJob &job, const Io &in, const Io &out,
                          const CheckOptions &options) {
    lock_cow(in.fd(), in.name(), false);
    WholeFile whole = WholeFile::cow(in);
    LogSupers supers = read_log_supers(whole.io());
    OpenedCow cow(whole.io());
    if (cow.refusal().empty() && !cow.is_log()) {
        u64 size = 0;
        if (cw_size(&whole.io(), &size) != 0) {
            size = in.size();
        }
        SalvageResult result = copy_readable(whole.io(), out, size, options);
        if (ftruncate(out.fd(), static_cast<off_t>(size)) != 0) {
            throw io_error(out.name(), "cannot be given its size", errno);
        }
        return result;
    }
    u8 head[4] = {};
    if (!supers.any() && in.size() >= sizeof(head) &&
        cw_pread(&in.get(), head, sizeof(head), 0) == 0 && cw_cow_uml.probe(head, sizeof(head))) {
        throw Error(job.path + ": " + cow.refusal() + "; nothing can be salvaged from it", EINVAL);
    }
    LogCowConfig config = supers.any() ? config_of(job, supers.best()) : config_from_below(job);
    config.first_generation = random_generation();
    LogSalvageOptions how;
    how.past_gaps = job.past_gaps;
    how.frozen =
        supers.any() && (cw_from_le64(supers.best().ro_compat) & CW_LOG_RO_COMPAT_FROZEN) != 0;
    if (!job.above.empty()) {
        config.uuid = uuid_wanted_by(job.above);
        how.frozen = true;
    }
    return salvage_log(whole.io(), out, config, how, options);
}

}  // namespace

SalvageResult salvage(const SalvageJob &job, const CheckOptions &options) {
    Io in = Io::open(job.path, Io::Mode::kRead);
    OutputFileOptions output_options;
    output_options.inputs = {job.path};
    if (!job.below.empty()) {
        output_options.inputs.push_back(job.below);
    }
    if (!job.above.empty()) {
        output_options.inputs.push_back(job.above);
    }
    output_options.force = job.force;
    output_options.like = job.path;
    OutputFile out(job.output, output_options);
    if (out.is_device()) {
        throw Error(job.output + ": is a device; salvage to a file", EINVAL);
    }
    SalvageResult result = job.is_cow ? salvage_cow(job, in, out.io(), options)
                                      : salvage_image(job, in, out.io(), options);
    out.commit();
    return result;
}

}  // namespace cloopw
