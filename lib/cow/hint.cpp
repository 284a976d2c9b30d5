// SPDX-License-Identifier: GPL-2.0
#include "hint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/error.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

/* A place in the file system that is not opened yet; -1: there is none. */
class Place {
public:
    Place(const fs::path &path, int flags)
        : fd_(::open(path.c_str(), O_PATH | O_CLOEXEC | flags)) {}
    ~Place() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;

    /* Zeros: there is none. */
    struct stat look() const {
        struct stat st = {};
        if (fd_ >= 0 && ::fstat(fd_, &st) != 0) {
            st = {};
        }
        return st;
    }
    /* Opens the same file, even if its name has changed. Needs /proc. */
    int open() const {
        return ::open(("/proc/self/fd/" + std::to_string(fd_)).c_str(),
                      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }

private:
    const int fd_;
};

bool is_data(const struct stat &st) { return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode); }

bool is_same(const struct stat &a, const struct stat &b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_mode == b.st_mode;
}

}  // namespace

std::vector<fs::path> hint_directories(const std::string &file) {
    const fs::path parent = fs::path(file).parent_path();
    std::vector<fs::path> directories = {parent.empty() ? "." : parent};
    std::error_code code;
    const fs::path target = fs::canonical(file, code).parent_path();
    if (!code && !fs::equivalent(target, directories[0], code)) {
        directories.push_back(target);
    }
    return directories;
}

std::vector<fs::path> hint_places(const std::string &file, const std::string &hint) {
    const fs::path name = fs::path(hint).filename();
    std::vector<fs::path> places;
    if (name.empty() || name == "." || name == "..") {
        return places;
    }
    for (const fs::path &directory : hint_directories(file)) {
        places.push_back(directory == "." ? name : directory / name);
    }
    return places;
}

std::optional<Io> open_hint(const fs::path &path) {
    const Place named(path, O_NOFOLLOW);
    const bool link = S_ISLNK(named.look().st_mode);
    const Place target(path, link ? 0 : O_NOFOLLOW);
    const struct stat wanted = target.look();
    if (!is_data(wanted) || (link && !S_ISBLK(wanted.st_mode))) {
        return std::nullopt;
    }
    int fd = target.open();
    if (fd < 0 && errno == ENOENT) { /* there is no /proc */
        fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | (link ? 0 : O_NOFOLLOW));
    }
    if (fd < 0) {
        return std::nullopt;
    }
    struct stat opened = {};
    if (::fstat(fd, &opened) != 0 || !is_same(opened, wanted)) {
        ::close(fd);
        return std::nullopt;
    }
    return Io::adopt(fd, path.string());
}

}  // namespace cloopw
