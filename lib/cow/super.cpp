// SPDX-License-Identifier: GPL-2.0
#include "super.h"

#include <unistd.h>

#include <cerrno>

#include "lib/error.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw {

std::optional<struct cw_disk_log_super> read_log_super(int fd, const std::string &name) {
    std::optional<struct cw_disk_log_super> best;
    for (unsigned int slot = 0; slot < CW_LOG_SUPERS; slot++) {
        struct cw_disk_log_super super = {};
        if (pread(fd, &super, sizeof(super), slot * CW_LOG_SUPER_STRIDE) < 0) {
            throw io_error(name, "cannot read", errno);
        }
        if (cw_log_super_is_sound(&super) &&
            (!best || cw_from_le64(super.seq) > cw_from_le64(best->seq))) {
            best = super;
        }
    }
    return best;
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
