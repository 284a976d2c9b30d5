/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_SAME_FILE_H
#define CLOOPW_LIB_SAME_FILE_H

#include <sys/stat.h>

namespace cloopw {

/* Two names of one file, or two nodes of one block device. */
inline bool is_same_file(const struct stat &a, const struct stat &b) {
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) {
        return a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace cloopw

#endif
