// SPDX-License-Identifier: GPL-2.0
#include "log_writer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "cow_header.h"
#include "lib/error.h"

namespace cloopw {
namespace {

const cw_codec &find_codec(const std::string &name) {
    const cw_codec *codec = cw_codec_by_name(name.c_str());
    if (codec == nullptr) {
        throw Error("there is no codec " + name, EINVAL);
    }
    if ((CW_CODEC_BIT(codec->id) & CW_LOG_CODECS) == 0) {
        throw Error("a COW file cannot be compressed with " + name + ", only with none, zlib, " +
                        "lz4, lz4hc and zstd",
                    EINVAL);
    }
    return *codec;
}

/* No character of UTF-8 is cut in two. */
std::string beginning_of(const std::string &text, size_t most) {
    constexpr unsigned char kKind = 0xc0;
    constexpr unsigned char kContinues = 0x80;
    size_t len = std::min(text.size(), most);
    while (len != 0 && len < text.size() &&
           (static_cast<unsigned char>(text[len]) & kKind) == kContinues) {
        len--;
    }
    return text.substr(0, len);
}

int check_level(const cw_codec &codec, int level) {
    if (level == 0) {
        return codec.default_level;
    }
    if (level < codec.min_level || level > codec.max_level) {
        throw Error("codec " + std::string(codec.name) + " has levels " +
                        std::to_string(codec.min_level) + ".." + std::to_string(codec.max_level) +
                        ", not " + std::to_string(level),
                    EINVAL);
    }
    return level;
}

}  // namespace

void encode_log_super(struct cw_disk_log_super *super, const LogCowConfig &config) {
    const cw_codec &codec = find_codec(config.codec);

    if (config.size > CW_LOG_MAX_SIZE) {
        throw Error("a COW log covers up to 32 TiB, and the device has " +
                        std::to_string(config.size) + " bytes",
                    EFBIG);
    }
    *super = {};
    memcpy(super->magic, CW_LOG_MAGIC, sizeof(super->magic));
    super->version = cw_to_le32(CW_LOG_VERSION);
    std::ranges::copy(config.uuid, super->uuid);
    super->seq = cw_to_le64(1);
    super->size = cw_to_le64(config.size);
    super->compat = cw_to_le64(CW_LOG_COMPAT_FROZEN_TWICE |
                               (config.base_digest ? CW_LOG_COMPAT_BASE_DIGEST : 0));
    super->base_digest = cw_to_le64(config.base_digest.value_or(0));
    const bool grown = config.base_size != 0 && config.base_size < config.size;
    super->base_size = cw_to_le64(grown ? config.base_size : 0);
    super->incompat = cw_to_le64((config.over_layer ? CW_LOG_INCOMPAT_OVER_LAYER : 0) |
                                 (grown ? CW_LOG_INCOMPAT_GROWN : 0));
    std::ranges::copy(config.base_uuid, super->base_uuid);
    super->base_mtime = cw_to_le64(static_cast<u64>(config.base_mtime));
    super->codec = cw_to_le32(codec.id);
    super->codec_level = cw_to_le32(static_cast<u32>(check_level(codec, config.level)));
    super->codec_hc = cw_to_le32(&codec == &cw_codec_lz4hc ? 1 : 0);
    super->limit = cw_to_le64(config.limit);
    super->gen_limit = cw_to_le64(config.first_generation); /* 0 is no generation */
    super->log_seq = cw_to_le64(1);
    super->log_segment = cw_to_le32(CW_LOG_NO_SEGMENT);
    super->meta_segment = cw_to_le32(CW_LOG_NO_SEGMENT);
    const std::string remark = beginning_of(config.parent, sizeof(super->parent) - 1);
    remark.copy(super->parent, remark.size());
    super->crc = cw_to_le32(cw_crc32c(super, sizeof(*super)));
}

void write_log_cow(int fd, const std::string &name, const LogCowConfig &config) {
    auto super = std::make_unique<struct cw_disk_log_super>();
    encode_log_super(super.get(), config);

    const char *bytes = reinterpret_cast<const char *>(super.get());
    struct stat st = {};
    if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode)) {
        write_cow_header(fd, name, bytes, CW_SECTOR_SIZE, 0);
        if (fdatasync(fd) != 0) {
            throw io_error(name, "cannot sync", errno);
        }
        write_cow_header(fd, name, bytes + CW_SECTOR_SIZE, sizeof(*super) - CW_SECTOR_SIZE,
                         CW_SECTOR_SIZE);
        return;
    }
    write_cow_header(fd, name, bytes, sizeof(*super), 0);
    if (ftruncate(fd, static_cast<off_t>(kLogCowEmptyLen)) != 0) {
        throw io_error(name, "cannot set the length of the COW file", errno);
    }
}

}  // namespace cloopw
