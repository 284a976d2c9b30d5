// SPDX-License-Identifier: GPL-2.0
#include "cow_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "cow_chain.h"
#include "error.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const struct stat &a, const struct stat &b) {
    if (S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode)) {
        return a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Is the file one of those in this attribute, one path a line? */
bool lists(const fs::path &attribute, const struct stat &file) {
    std::ifstream lines(attribute);
    struct stat st = {};
    for (std::string path; std::getline(lines, path);) {
        if (stat(path.c_str(), &st) == 0 && is_same_file(st, file)) {
            return true;
        }
    }
    return false;
}

/* "/dev/cloopw0"; empty: none of the driver's devices has it. */
std::string device_with(int fd) {
    struct stat file = {};
    std::error_code code;
    if (fstat(fd, &file) != 0) {
        return "";
    }
    for (const auto &disk : fs::directory_iterator("/sys/block", code)) {
        if (lists(disk.path() / "cloopw/cow", file)) {
            return "/dev/" + disk.path().filename().string();
        }
    }
    return "";
}

bool is_frozen(int fd, const std::string &name) {
    try {
        return identify_cow(fd, name).frozen;
    } catch (const Error &) {
        return false;
    }
}

/* Those of network and FUSE file systems that have not got any. */
bool has_no_locks(int err) { return err == ENOLCK || err == EOPNOTSUPP || err == ENOSYS; }

}  // namespace

void lock_cow(int fd, const std::string &name, bool writable) {
    struct flock lock = {};
    lock.l_type = static_cast<short>(writable ? F_WRLCK : F_RDLCK);
    lock.l_whence = SEEK_SET;
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || has_no_locks(errno)) {
        return;
    }
    if (errno != EAGAIN && errno != EACCES) {
        throw io_error(name, "cannot be locked", errno);
    }
    if (!writable && is_frozen(fd, name)) {
        return;
    }
    std::string device = device_with(fd);
    if (!device.empty()) {
        throw Error(name + ": is in use by " + device + "; detach it with 'cloopwsetup -d " +
                        device + "' first" +
                        (writable ? "" : ", or freeze the file with 'cloopwsetup --snapshot'"),
                    EBUSY);
    }
    throw Error(name +
                    ": is in use by another program, such as nbdkit, mkcloopw or cloopwck; "
                    "'lsof' tells which, wait for it or end it",
                EBUSY);
}

}  // namespace cloopw
