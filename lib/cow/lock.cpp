// SPDX-License-Identifier: GPL-2.0
#include "lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "chain.h"
#include "lib/error.h"
#include "lib/same_file.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

/* Is the file one of the layers in this directory of the driver's? */
bool has_layer(const fs::path &layers, const struct stat &file) {
    struct stat st = {};
    std::error_code code;
    for (const auto &layer : fs::directory_iterator(layers, code)) {
        std::ifstream lines(layer.path() / "path");
        std::string path;
        if (std::getline(lines, path) && stat(path.c_str(), &st) == 0 && is_same_file(st, file)) {
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
        if (has_layer(disk.path() / "cloopw/layers", file)) {
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
