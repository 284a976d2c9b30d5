// SPDX-License-Identifier: GPL-2.0
#include "replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/move_all.h"

namespace cloopw {

void replace_file(const std::string &path, const std::string &text, mode_t mode) {
    /* A name of its own: with a suffix, a long one would be too long. */
    const std::string parent = std::filesystem::path(path).parent_path().string();
    std::string fresh = (parent.empty() ? "." : parent) + "/.cloopw.XXXXXX";
    const Fd fd(mkostemp(fresh.data(), O_CLOEXEC));
    int err = fd.get() < 0 || fchmod(fd.get(), mode) != 0 ? errno : 0;
    if (err == 0) {
        err = move_all(pwrite, fd.get(), text.data(), text.size(), 0);
    }
    if (err == 0 && rename(fresh.c_str(), path.c_str()) != 0) {
        err = errno;
    }
    if (err != 0) {
        if (fd.get() >= 0) {
            unlink(fresh.c_str());
        }
        throw io_error(path, "cannot be written", err);
    }
}

}  // namespace cloopw
