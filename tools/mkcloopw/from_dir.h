/* SPDX-License-Identifier: GPL-2.0 */
/* Makes an ext4 image of a directory. */
#ifndef CLOOPW_MKCLOOPW_FROM_DIR_H
#define CLOOPW_MKCLOOPW_FROM_DIR_H

#include <optional>
#include <string>

#include "lib/cloopw.h"
#include "tree.h"

namespace cloopw {

struct FromDirOptions {
    std::string path;
    std::string label;       /* the file system's, cut to the room for it */
    std::optional<u64> date; /* seconds since 1970; no file is newer; none: unchanged */
    u64 size = 0;            /* bytes of the file system; 0: as few as it needs */
    u64 free = 0;            /* bytes of it that must stay free */
    TreeOptions tree;
};

struct DirImage {
    Io io;
    bool secret; /* a file in it that not all users may read */
};

/*
 * Makes the image in a temporary file, as small as possible unless a size is given. The
 * same tree gives the same bytes. Throws Error, with mke2fs's own words.
 */
DirImage make_ext4(const FromDirOptions &options);

}  // namespace cloopw

#endif
