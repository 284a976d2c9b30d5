// SPDX-License-Identifier: GPL-2.0
#include "open_data.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "fd.h"
#include "same_file.h"

namespace cloopw {
namespace {

/* 0 or errno */
int refusal_of(const struct stat &st) {
    if (S_ISDIR(st.st_mode)) {
        return EISDIR;
    }
    return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? 0 : EINVAL;
}

/* Without /proc the name is all that there is. */
Fd open_by_name(const std::string &path, int flags, const struct stat &wanted) {
    Fd fd(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
    struct stat st = {};
    if (fd.get() >= 0 &&
        (fstat(fd.get(), &st) != 0 || st.st_mode != wanted.st_mode || !is_same_file(st, wanted))) {
        fd = Fd();
        errno = ESTALE;
    }
    return fd;
}

}  // namespace

int open_data(const std::string &path, int flags) {
    /* The place of the file, which is not open yet and does not change. */
    const Fd place(::open(path.c_str(), O_PATH | O_CLOEXEC | (flags & O_NOFOLLOW)));
    struct stat st = {};
    if (place.get() < 0 || fstat(place.get(), &st) != 0) {
        return -1;
    }
    if (const int err = refusal_of(st)) {
        errno = err;
        return -1;
    }
    const std::string link = "/proc/self/fd/" + std::to_string(place.get());
    Fd fd(::open(link.c_str(), (flags & ~O_NOFOLLOW) | O_CLOEXEC));
    if (fd.get() < 0 && errno == ENOENT) {
        fd = open_by_name(path, flags, st);
    }
    return fd.release();
}

}  // namespace cloopw
