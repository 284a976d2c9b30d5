/* SPDX-License-Identifier: GPL-2.0 */
/* A directory as an ext4 image. */
#ifndef CLOOPW_MKCLOOPW_FROM_DIR_H
#define CLOOPW_MKCLOOPW_FROM_DIR_H

#include <optional>
#include <string>

#include "lib/cloopw.h"
#include "tree.h"

namespace cloopw {

struct FromDirOptions {
    std::string path;
    std::string label;       /* of the file system, as far as it has room for it */
    std::optional<u64> date; /* no file is newer; none: as they are */
    u64 size = 0;            /* bytes of the file system; 0: as it needs */
    u64 free = 0;            /* at least so many bytes of it are to be free */
    TreeOptions tree;
};

struct DirImage {
    Io io;
    bool secret; /* there is a file in it that not all may read */
};

/*
 * In a temporary file; it is as large as it must be unless a size is given. The same tree gives the same
 * bytes. Throws Error, with what mke2fs said.
 */
DirImage make_ext4(const FromDirOptions &options);

}  // namespace cloopw

#endif
