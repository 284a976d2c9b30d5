/* SPDX-License-Identifier: GPL-2.0 */
/* Measures the need of a directory tree as a file system. */
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

/* The parts of a tree that count. */
struct TreeOptions {
    /*
     * A pattern with a slash is a path from the tree's top, and its wildcards match no
     * slash. A pattern without a slash matches names in all directories.
     */
    std::vector<std::string> exclude;
    bool one_file_system = false; /* leaves mounted file systems out, but not their mount points */
    const std::atomic<bool> *cancelled = nullptr;
};

struct Tree {
    u64 inodes = 0;         /* hard links to one file are one */
    u64 blocks = 0;         /* blocks of 4 KiB, of all files and directories */
    s64 oldest = INT64_MAX; /* mtime, seconds since 1970 */
    s64 newest = INT64_MIN;
    Uuid uuid = {};      /* derived from names, sizes, owners and times */
    bool secret = false; /* a file in it that not all users may read */
    struct stat root = {};
    std::set<HiddenName> hidden; /* the names that do not count */
};

/* Throws Error for a path that is no directory or cannot be read. */
Tree measure_tree(const std::string &path, const TreeOptions &options);

}  // namespace cloopw

#endif
