/* SPDX-License-Identifier: GPL-2.0 */
/* A directory as an ext4 image. */
#ifndef CLOOPW_MKCLOOPW_FROM_DIR_H
#define CLOOPW_MKCLOOPW_FROM_DIR_H

#include <atomic>
#include <optional>
#include <string>

#include "lib/cloopw.h"

namespace cloopw {

struct FromDirOptions {
    std::string path;
    std::string label;       /* of the file system, as far as it has room for it */
    std::optional<u64> date; /* no file is newer; none: as they are */
    const std::atomic<bool> *cancelled = nullptr;
};

struct DirImage {
    Io io;
    bool secret; /* there is a file in it that not all may read */
};

/*
 * As large as it must be, in a temporary file. The same tree gives the same
 * bytes. Throws Error, with what mke2fs said.
 */
DirImage make_ext4(const FromDirOptions &options);

}  // namespace cloopw

#endif
