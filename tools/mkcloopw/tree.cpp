// SPDX-License-Identifier: GPL-2.0
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "ext4_times.h"
#include "lib/fd.h"

namespace cloopw {

namespace {

constexpr u64 kBlock = 4096;
constexpr u64 kFastSymlink = 59; /* longest link that fits its inode */
constexpr size_t kEntryHead = 8; /* length of a directory entry without its name */

/* Patterns, without redundant slashes. */
class Excluded {
public:
    explicit Excluded(const std::vector<std::string> &patterns) {
        for (const std::string &pattern : patterns) {
            const size_t end = pattern.find_last_not_of('/');
            const std::string path = pattern.substr(0, end + 1);
            const size_t begin = path.starts_with("./") ? 2 : path.find_first_not_of('/');
            const bool anywhere = path.find('/') == std::string::npos;
            (anywhere ? names_ : paths_).push_back(path.substr(std::min(begin, path.size())));
        }
    }

    /* path: from the tree's top, with a slash before it */
    bool has(const std::string &path) const {
        const char *name = path.c_str() + path.rfind('/') + 1;
        return matches(names_, name, 0) || matches(paths_, path.c_str() + 1, FNM_PATHNAME);
    }

private:
    static bool matches(const std::vector<std::string> &patterns, const char *text, int flags) {
        return std::any_of(patterns.begin(), patterns.end(), [&](const std::string &pattern) {
            return fnmatch(pattern.c_str(), text, flags) == 0;
        });
    }

    std::vector<std::string> names_;
    std::vector<std::string> paths_;
};

class Measure {
public:
    Measure(const TreeOptions &options, const struct stat &top)
        : options_(options), excluded_(options.exclude), top_(top) {}

    /* path: an open directory's, without a slash at its end */
    void directory(const std::string &path, const std::string &name, const struct stat &st) {
        u64 names = 2 * (kEntryHead + 4);
        if (is_elsewhere(st)) {
            hide(st, "");
            count(path, name, st, 1);
            return;
        }
        std::unique_ptr<DIR, CDeleter<closedir>> dir(opendir(path.c_str()));
        if (!dir) {
            throw io_error(path, "cannot be read", errno);
        }
        for (;;) {
            errno = 0;
            const struct dirent *entry = readdir(dir.get());
            if (entry == nullptr) {
                break;
            }
            std::string_view part = entry->d_name;
            if (part == "." || part == "..") {
                continue;
            }
            if (any(path + "/" + entry->d_name, name + "/" + entry->d_name)) {
                names += kEntryHead + cw_round_up(part.size(), 4);
            } else {
                hide(st, entry->d_name);
            }
        }
        if (errno != 0) {
            throw io_error(path, "cannot be read", errno);
        }
        /* Names do not fill blocks; more than one block needs a tree of them. */
        u64 blocks = cw_div_up(names + names / 3, kBlock);
        count(path, name, st, blocks + (blocks > 1 ? 1 : 0));
    }

    Tree tree() const {
        Tree tree = tree_;
        for (size_t i = 0; i < sum_.size(); i++) {
            __be64 part = cw_to_be64(sum_[i]);
            std::memcpy(tree.uuid.data() + i * sizeof(part), &part, sizeof(part));
        }
        tree.uuid[6] = static_cast<u8>((tree.uuid[6] & 0x0f) | 0x80); /* version 8 */
        tree.uuid[8] = static_cast<u8>((tree.uuid[8] & 0x3f) | 0x80);
        return tree;
    }

private:
    bool is_elsewhere(const struct stat &st) const {
        return options_.one_file_system && st.st_dev != top_.st_dev;
    }

    void hide(const struct stat &dir, const std::string &name) {
        tree_.hidden.emplace(dir.st_dev, dir.st_ino, name);
    }

    /* False: the name does not count. */
    bool any(const std::string &path, const std::string &name) {
        if (options_.cancelled != nullptr && *options_.cancelled) {
            throw Error("interrupted", EINTR);
        }
        if (excluded_.has(name)) {
            return false;
        }
        struct stat st = {};
        if (lstat(path.c_str(), &st) != 0) {
            throw io_error(path, "cannot be looked at", errno);
        }
        if (S_ISDIR(st.st_mode)) {
            directory(path, name, st);
        } else if (is_elsewhere(st)) {
            return false; /* a mount point that is a file */
        } else if (st.st_nlink == 1 || links_.emplace(st.st_dev, st.st_ino).second) {
            count(path, name, st, data_blocks(path, st));
        }
        return true;
    }

    /*
     * mke2fs keeps the lower 32 bits of a time. settle_ext4() adds the others, which the
     * oldest time of the tree tells.
     */
    void take_time(const std::string &path, s64 time) {
        constexpr s64 kSpan = s64{1} << 32;
        if (time < INT32_MIN || time > kExt4Newest) {
            throw Error(path + ": was modified at " + std::to_string(time) +
                            " seconds since 1970, and ext4 only keeps times of 1901-12-13 to "
                            "2446-05-10; 'touch' it",
                        EOVERFLOW);
        }
        tree_.oldest = std::min(tree_.oldest, time);
        tree_.newest = std::max(tree_.newest, time);
        if (tree_.newest - tree_.oldest >= kSpan) {
            throw Error(path + ": was modified at " + std::to_string(time) +
                            " seconds since 1970, and another file 136 years before or after "
                            "that; mke2fs cannot keep both times, 'touch' one of them",
                        EOVERFLOW);
        }
    }

    static bool is_secret(mode_t mode) {
        const mode_t needed = S_ISDIR(mode) ? S_IROTH | S_IXOTH : S_IROTH;
        return (S_ISDIR(mode) || S_ISREG(mode)) && (mode & needed) != needed;
    }

    static u64 data_blocks(const std::string &path, const struct stat &st) {
        u64 size = static_cast<u64>(st.st_size);
        if (S_ISLNK(st.st_mode)) {
            return size > kFastSymlink ? 1 : 0;
        }
        if (!S_ISREG(st.st_mode)) {
            return 0;
        }
        u64 blocks = cw_div_up(size, kBlock);
        if (static_cast<u64>(st.st_blocks) * 512 < size) {
            blocks = std::min(blocks, sparse_blocks(path, size));
        }
        return blocks + blocks / 1024; /* and the blocks that refer to them */
    }

    /*
     * The file may have holes, or its file system may have compressed it. Only holes need
     * no blocks.
     */
    static u64 sparse_blocks(const std::string &path, u64 size) {
        const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (fd.get() < 0) {
            return UINT64_MAX; /* mke2fs says why */
        }
        u64 blocks = 0;
        u64 stretches = 0;
        off_t end = 0;
        for (;;) {
            off_t begin = lseek(fd.get(), end, SEEK_DATA);
            if (begin < 0 || static_cast<u64>(begin) >= size) {
                break;
            }
            end = lseek(fd.get(), begin, SEEK_HOLE);
            if (end <= begin) {
                blocks = UINT64_MAX;
                break;
            }
            blocks += cw_div_up(static_cast<u64>(end), kBlock) - static_cast<u64>(begin) / kBlock;
            stretches++;
        }
        return blocks == UINT64_MAX ? blocks : blocks + stretches / 256;
    }

    void count(const std::string &path, const std::string &name, const struct stat &st,
               u64 blocks) {
        take_time(path, st.st_mtime);
        tree_.secret = tree_.secret || is_secret(st.st_mode);
        tree_.inodes++;
        tree_.blocks += blocks;
        if (llistxattr(path.c_str(), nullptr, 0) > 0) {
            tree_.blocks++;
        }
        /* A sum, which does not depend on the order in which a directory is read. */
        u64 facts[] = {st.st_mode,
                       st.st_uid,
                       st.st_gid,
                       st.st_rdev,
                       S_ISDIR(st.st_mode) ? 0 : static_cast<u64>(st.st_size),
                       static_cast<u64>(st.st_mtime)};
        XXH128_hash_t hash =
            XXH3_128bits_withSeed(facts, sizeof(facts), XXH3_64bits(name.data(), name.size()));
        sum_[0] += hash.high64;
        sum_[1] += hash.low64;
    }

    const TreeOptions &options_;
    const Excluded excluded_;
    const struct stat &top_;
    Tree tree_;
    std::array<u64, 2> sum_ = {};
    std::set<std::pair<dev_t, ino_t>> links_; /* files with more than one name */
};

}  // namespace

Tree measure_tree(const std::string &path, const TreeOptions &options) {
    struct stat st = {};
    if (stat(path.c_str(), &st) != 0) {
        throw io_error(path, "cannot be opened", errno);
    }
    if (!S_ISDIR(st.st_mode)) {
        throw Error(path + ": is no directory", ENOTDIR);
    }
    Measure measure(options, st);
    measure.directory(path, "", st);
    Tree tree = measure.tree();
    tree.root = st;
    return tree;
}

}  // namespace cloopw
