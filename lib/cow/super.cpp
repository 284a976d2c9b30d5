// SPDX-License-Identifier: GPL-2.0
#include "super.h"

#include <unistd.h>

#include <cerrno>

#include "lib/error.h"
#include "lib/move_all.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw {

namespace {

/* *used: the place of the copy in use. */
std::optional<struct cw_disk_log_super> find_log_super(int fd, const std::string &name,
                                                       unsigned int *used) {
    std::optional<struct cw_disk_log_super> best;
    for (unsigned int slot = 0; slot < CW_LOG_SUPERS; slot++) {
        struct cw_disk_log_super super = {};
        if (pread(fd, &super, sizeof(super), slot * CW_LOG_SUPER_STRIDE) < 0) {
            throw io_error(name, "cannot read", errno);
        }
        if (cw_log_super_is_sound(&super) &&
            (!best || cw_from_le64(super.seq) > cw_from_le64(best->seq))) {
            best = super;
            *used = slot;
        }
    }
    return best;
}

}  // namespace

std::optional<struct cw_disk_log_super> read_log_super(int fd, const std::string &name) {
    unsigned int used = 0;
    return find_log_super(fd, name, &used);
}

void replace_log_super(int fd, const std::string &name, struct cw_disk_log_super super) {
    unsigned int used = 0;
    const auto present = find_log_super(fd, name, &used);
    super.seq = cw_to_le64(present ? cw_from_le64(present->seq) + 1 : 1);
    super.crc = cw_to_le32(0);
    super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
    for (unsigned int i = 1; i <= CW_LOG_SUPERS; i++) {
        const unsigned int slot = (used + i) % CW_LOG_SUPERS;
        int err = move_all(pwrite, fd, reinterpret_cast<const char *>(&super), sizeof(super),
                           u64{slot} * CW_LOG_SUPER_STRIDE);
        if (err == 0 && fdatasync(fd) != 0) {
            err = -errno;
        }
        if (err != 0) {
            throw io_error(name, "its superblock cannot be written", err);
        }
    }
}

std::optional<u64> base_digest_of(const struct cw_disk_log_super &super) {
    if ((cw_from_le64(super.compat) & CW_LOG_COMPAT_BASE_DIGEST) == 0) {
        return std::nullopt;
    }
    return cw_from_le64(super.base_digest);
}

const cw_codec *codec_of(const struct cw_disk_log_super &super) {
    return super.codec_hc != cw_to_le32(0) ? &cw_codec_lz4hc
                                           : cw_codec_by_id(cw_from_le32(super.codec));
}

}  // namespace cloopw
