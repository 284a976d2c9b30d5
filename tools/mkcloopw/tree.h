/* SPDX-License-Identifier: GPL-2.0 */
/* What a directory tree needs as a file system. */
#ifndef CLOOPW_MKCLOOPW_TREE_H
#define CLOOPW_MKCLOOPW_TREE_H

#include <sys/stat.h>

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "hidden_names.h"
#include "lib/image/image_writer.h"

namespace cloopw {

/* What of a tree counts. */
struct TreeOptions {
    /*
     * A pattern with a slash is a path from the tree's top, and its wildcards
     * match no slash. One without a slash matches names in all directories.
     */
    std::vector<std::string> exclude;
    bool one_file_system = false; /* of what is mounted in it, only the mount point */
    const std::atomic<bool> *cancelled = nullptr;
};

struct Tree {
    u64 inodes = 0;      /* hard links to one file are one */
    u64 blocks = 0;      /* of 4 KiB, all files' and directories' */
    u64 newest = 0;      /* mtime, seconds since 1970 */
    Uuid uuid = {};      /* derived from names, sizes, owners and times */
    bool secret = false; /* there is a file in it that not all may read */
    struct stat root = {};
    std::set<HiddenName> hidden; /* what does not count */
};

/* Throws Error for what is no directory or cannot be read. */
Tree measure_tree(const std::string &path, const TreeOptions &options);

}  // namespace cloopw

#endif
