// SPDX-License-Identifier: GPL-2.0
#include "hold.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/same_file.h"

namespace cloopw {
namespace {

namespace fs = std::filesystem;

constexpr size_t kStackBytes = size_t{256} << 10; /* a thread's: all of it is locked */

/* By its name, in the present namespace of mounts: the file that cloopwsetup opened for it. */
void reopen(int fd, int flags) {
    std::error_code code;
    const fs::path name = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), code);
    struct stat was = {};
    struct stat now = {};
    if (code || fstat(fd, &was) != 0 || (!S_ISREG(was.st_mode) && name != "/dev/null")) {
        return;
    }
    const Fd file(open(name.c_str(), flags | O_CLOEXEC));
    if (file.get() >= 0 && fstat(file.get(), &now) == 0 && is_same_file(was, now)) {
        (void)dup2(file.get(), fd);
    }
}

/* The root of an initramfs, which does not last. */
bool is_root_in_memory() {
    struct statfs fs = {};
    return statfs("/", &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* Each directory of / at the same place below root, with all that is mounted there, and links. */
void bind_directories(const fs::path &root) {
    for (const fs::directory_entry &entry : fs::directory_iterator("/")) {
        const fs::path at = root / entry.path().filename();
        if (entry.is_symlink()) { /* to the directories of programs and libraries */
            fs::copy_symlink(entry.path(), at);
            continue;
        }
        if (!entry.is_directory() || entry.path() == root) {
            continue;
        }
        if (entry.path() == "/etc") { /* its files are deleted, and names and CAs are wanted */
            fs::copy(entry.path(), at,
                     fs::copy_options::recursive | fs::copy_options::copy_symlinks);
            continue;
        }
        fs::create_directory(at);
        if (mount(entry.path().c_str(), at.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
            throw io_error(entry.path().string(), "cannot be mounted at " + at.string(), errno);
        }
    }
}

/*
 * The change to another root deletes the directories of an initramfs. The kernel takes away
 * what is mounted there in any namespace. So the mounts get a root whose directories nobody
 * else sees.
 */
void make_own_root() {
    const fs::path root = "/.cloopw-ublkd";
    fs::create_directory(root);
    if (mount("cloopw-ublkd", root.c_str(), "tmpfs", 0, "mode=755") != 0) {
        throw io_error(root.string(), "cannot be mounted", errno);
    }
    bind_directories(root);
    if (chdir(root.c_str()) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) {
        throw io_error(root.string(), "cannot be moved to /", errno);
    }
    fs::remove(root);
    if (chroot(".") != 0 || chdir("/") != 0) {
        throw io_error("/", "cannot be changed", errno);
    }
}

}  // namespace

void hold_memory() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        (void)fprintf(stderr, "cloopw-ublkd: memory cannot be locked: %s\n",
                      errno_text(errno).c_str());
    }
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    /* A dump of its core may go to the device itself, and is waited for. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void hold_mounts() {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
        (void)fprintf(stderr, "cloopw-ublkd: mounts are shared with the caller: %s\n",
                      errno_text(errno).c_str());
        return;
    }
    if (is_root_in_memory()) {
        make_own_root();
    }
    reopen(STDIN_FILENO, O_RDONLY);
    reopen(STDOUT_FILENO, O_WRONLY | O_APPEND);
    reopen(STDERR_FILENO, O_WRONLY | O_APPEND);
}

}  // namespace cloopw
