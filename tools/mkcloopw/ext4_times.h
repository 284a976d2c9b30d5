/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a new ext4 file system depend on nothing but the tree in it. */
#ifndef CLOOPW_MKCLOOPW_EXT4_TIMES_H
#define CLOOPW_MKCLOOPW_EXT4_TIMES_H

#include <sys/stat.h>

#include <optional>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * Of each inode: when it was modified is kept, but no later than `latest`; when
 * it was read, changed and made, which tell of the making, become the same. The
 * root gets the mode and the time of `root`, which mke2fs leaves out.
 *
 * For what mke2fs has just made. Throws Error for anything else.
 */
void settle_ext4(const Io &io, const struct stat &root, std::optional<u64> latest);

}  // namespace cloopw

#endif
