// SPDX-License-Identifier: GPL-2.0
#include "lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "chain.h"
#include "lib/error.h"
#include "lib/same_file.h"
#include "users.h"

namespace cloopw {
namespace {

/* Empty: no device has it. */
std::string user_of(int fd) {
    struct stat file = {};
    return fstat(fd, &file) == 0 ? device_with(file) : "";
}

bool is_frozen(int fd, const std::string &name) {
    try {
        return identify_cow(fd, name).frozen;
    } catch (const Error &) {
        return false;
    }
}

/* Errors of network and FUSE file systems that have no locks. */
bool has_no_locks(int err) { return err == ENOLCK || err == EOPNOTSUPP || err == ENOSYS; }

bool is_held(int err) { return err == EAGAIN || err == EACCES; }

/* 0 or errno */
int try_lock(int fd, bool writable) {
    struct flock lock = {};
    lock.l_type = static_cast<short>(writable ? F_WRLCK : F_RDLCK);
    lock.l_whence = SEEK_SET;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

/*
 * A server that was told to end still stores written data, and nbdkit --run does not wait
 * for it. So the holder of the lock gets a moment. 0 or errno.
 */
int take(int fd, bool writable) {
    constexpr std::chrono::milliseconds kStep(20);
    constexpr int kSteps = 50;
    for (int i = 0;; i++) {
        const int err = try_lock(fd, writable);
        if (!is_held(err) || i == kSteps || (!writable && is_frozen(fd, ""))) {
            return err;
        }
        std::this_thread::sleep_for(kStep);
    }
}

}  // namespace

bool has_name(int fd, const std::string &name) {
    struct stat open = {};
    struct stat named = {};
    return fstat(fd, &open) == 0 && stat(name.c_str(), &named) == 0 && is_same_file(open, named);
}

bool is_locked_alone(int fd) {
    const int err = try_lock(fd, true);
    return err == 0 || has_no_locks(err);
}

bool remove_unused(int fd, const std::string &name) {
    return has_name(fd, name) && is_locked_alone(fd) && unlink(name.c_str()) == 0;
}

void lock_cow(int fd, const std::string &name, bool writable) {
    const int err = take(fd, writable);
    if (err == 0 || has_no_locks(err)) {
        if (writable && !has_name(fd, name)) { /* its maker took it back */
            throw Error(name + ": was removed or replaced meanwhile; try again", ESTALE);
        }
        return;
    }
    if (!is_held(err)) {
        throw io_error(name, "cannot be locked", err);
    }
    if (!writable && is_frozen(fd, name)) {
        return;
    }
    const std::string device = user_of(fd);
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
