/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a new ext4 file system depend only on the tree in it. */
#ifndef CLOOPW_MKCLOOPW_EXT4_TIMES_H
#define CLOOPW_MKCLOOPW_EXT4_TIMES_H

#include <sys/stat.h>

#include <optional>

#include "lib/cloopw.h"

namespace cloopw {

/* The last second that ext4's 34 bits have: in 2446. */
constexpr s64 kExt4Newest = (s64{3} << 32) + INT32_MAX;

/* In seconds since 1970. */
struct Ext4Times {
    s64 oldest = 0;            /* the tree's; its other times are less than 2^32 above */
    u64 now = 0;               /* time of the making */
    std::optional<u64> latest; /* no inode is newer */
};

/*
 * Settles the times of each inode. mke2fs keeps 32 bits of the modification time. This
 * adds the others, and makes no time later than `latest`. Access, change and birth times,
 * which come from the making, become the same. The root gets the mode and the time of
 * `root`, which mke2fs leaves out.
 *
 * Only for a file system that mke2fs has just made. Throws Error for anything else.
 */
void settle_ext4(const Io &io, const struct stat &root, const Ext4Times &times);

}  // namespace cloopw

#endif
