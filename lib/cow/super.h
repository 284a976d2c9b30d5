/* SPDX-License-Identifier: GPL-2.0 */
/* What a COW log says of itself, for programs that do not open it. */
#ifndef CLOOPW_LIB_LOG_SUPER_H
#define CLOOPW_LIB_LOG_SUPER_H

#include <optional>
#include <string>

#include "lib/core.h"

namespace cloopw {

/* The superblock in use; nullopt: neither is sound. name is for messages. */
std::optional<struct cw_disk_log_super> read_log_super(int fd, const std::string &name);

/* Of the content that it lies over; nullopt: it does not say. */
std::optional<u64> base_digest_of(const struct cw_disk_log_super &super);

/* What it wants new data compressed with; nullptr: unknown. */
const cw_codec *codec_of(const struct cw_disk_log_super &super);

}  // namespace cloopw

#endif
