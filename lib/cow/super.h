/* SPDX-License-Identifier: GPL-2.0 */
/* Reads a COW log's superblock, for programs that do not open the log. */
#ifndef CLOOPW_LIB_LOG_SUPER_H
#define CLOOPW_LIB_LOG_SUPER_H

#include <optional>
#include <string>

#include "lib/core.h"

namespace cloopw {

/* The superblock in use; nullopt: neither is sound. name is for messages. Throws Error. */
std::optional<struct cw_disk_log_super> read_log_super(int fd, const std::string &name);

/*
 * Writes both copies of a superblock, with the next number, one after the other. The copy in
 * use stays until the other is durable, so that a power cut leaves the old one or the new.
 * The caller has the log's lock, and nothing else of the log changes. Throws Error.
 */
void replace_log_super(int fd, const std::string &name, struct cw_disk_log_super super);

/* Digest of the content below; nullopt: the log does not say. */
std::optional<u64> base_digest_of(const struct cw_disk_log_super &super);

/* The codec for new data; nullptr: unknown. */
const cw_codec *codec_of(const struct cw_disk_log_super &super);

}  // namespace cloopw

#endif
