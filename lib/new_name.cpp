// SPDX-License-Identifier: GPL-2.0
#include "new_name.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace cloopw {
namespace {

bool cannot_check(int err) { return err == EINVAL || err == ENOSYS || err == EOPNOTSUPP; }

int rename_after_a_look(const std::string &from, const std::string &to) {
    struct stat st = {};
    if (lstat(to.c_str(), &st) == 0) {
        return EEXIST;
    }
    if (errno != ENOENT) {
        return errno;
    }
    return rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

}  // namespace

int rename_to_new_by_link(const std::string &from, const std::string &to) {
    if (link(from.c_str(), to.c_str()) == 0) {
        /* Both names are right; the first would only be in the way. */
        (void)unlink(from.c_str());
        return 0;
    }
    return errno == EEXIST ? EEXIST : rename_after_a_look(from, to);
}

int rename_to_new(const std::string &from, const std::string &to) {
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
        return 0;
    }
    return cannot_check(errno) ? rename_to_new_by_link(from, to) : errno;
}

}  // namespace cloopw
