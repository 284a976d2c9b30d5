/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a new ext4 file system depend only on the tree in it. */
#ifndef CLOOPW_MKCLOOPW_EXT4_TIMES_H
#define CLOOPW_MKCLOOPW_EXT4_TIMES_H

#include <sys/stat.h>

#include <optional>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * Settles the times of each inode. It keeps the modification time, but no later than
 * `latest` (seconds since 1970). Access, change and birth times, which come from the
 * making, become the same. The root gets the mode and the time of `root`, which mke2fs
 * leaves out.
 *
 * Only for a file system that mke2fs has just made. Throws Error for anything else.
 */
void settle_ext4(const Io &io, const struct stat &root, std::optional<u64> latest);

}  // namespace cloopw

#endif
