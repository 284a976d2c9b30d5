// SPDX-License-Identifier: GPL-2.0
#include "hold.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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
    reopen(STDIN_FILENO, O_RDONLY);
    reopen(STDOUT_FILENO, O_WRONLY | O_APPEND);
    reopen(STDERR_FILENO, O_WRONLY | O_APPEND);
}

}  // namespace cloopw
