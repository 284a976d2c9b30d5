// SPDX-License-Identifier: GPL-2.0
#include "scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace cloopw {

namespace {

/* Without O_TMPFILE the file has a name for a moment. */
int open_and_unlink(const std::string &directory) {
    std::string name = directory + "/mkcloopw-XXXXXX";
    int fd = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) {
        ::unlink(name.c_str());
    }
    return fd;
}

}  // namespace

Io open_scratch_file(const std::string &what) {
    const char *chosen = std::getenv("TMPDIR");
    std::string directory = chosen != nullptr && *chosen != '\0' ? chosen : "/var/tmp";
    int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        fd = open_and_unlink(directory);
    }
    if (fd < 0) {
        throw io_error(directory, "cannot hold a temporary file for " + what, errno,
                       "set TMPDIR to a directory with room");
    }
    return Io::adopt(fd, directory + " (temporary file)");
}

}  // namespace cloopw
