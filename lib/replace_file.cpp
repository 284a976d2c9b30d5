// SPDX-License-Identifier: GPL-2.0
#include "replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/move_all.h"

namespace cloopw {

void replace_file(const std::string &path, const std::string &text, mode_t mode) {
    const std::string fresh = path + ".new";
    const Fd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode));
    /* whatever the umask, and the mode of one that a killed program left behind */
    int err = fd.get() < 0 || fchmod(fd.get(), mode) != 0 ? errno : 0;
    if (err == 0) {
        err = move_all(pwrite, fd.get(), text.data(), text.size(), 0);
    }
    if (err == 0 && rename(fresh.c_str(), path.c_str()) != 0) {
        err = errno;
    }
    if (err != 0) {
        throw io_error(path, "cannot be written", err);
    }
}

}  // namespace cloopw
