// SPDX-License-Identifier: GPL-2.0
#include "kernel.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace cloopw {
namespace {

/* Reads a child's words from the pipe, up to a bound, and drops the rest. */
std::string read_pipe(int fd) {
    constexpr size_t kMost = 64 * 1024;
    std::string text;
    char buf[4096];
    for (;;) {
        ssize_t n = ::read(fd, buf, sizeof(buf));
        if (n > 0 && text.size() < kMost) {
            text.append(buf, static_cast<size_t>(n));
        }
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return text;
        }
    }
}

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int SystemKernel::open(const std::string &path, int flags) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void SystemKernel::close(int fd) { ::close(fd); }

int SystemKernel::stat(const std::string &path, struct stat *st) {
    return ::stat(path.c_str(), st) == 0 ? 0 : -errno;
}

int SystemKernel::ioctl(int fd, unsigned int request, unsigned long arg) {
    int result = ::ioctl(fd, request, arg);
    return result < 0 ? -errno : result;
}

int SystemKernel::run(const std::vector<std::string> &argv, std::string *said) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -errno;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);

    std::vector<char *> words;
    words.reserve(argv.size() + 1);
    for (const std::string &word : argv) {
        words.push_back(const_cast<char *>(word.c_str()));
    }
    words.push_back(nullptr);
    /* Its messages are looked at, so they have to be untranslated. */
    char locale[] = "LC_ALL=C";
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char *env[] = {locale, path, nullptr};
    pid_t pid = 0;
    int err = posix_spawn(&pid, words[0], &actions, nullptr, words.data(), env);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (err == 0) {
        *said = read_pipe(ends[0]);
    }
    ::close(ends[0]);
    return err != 0 ? -err : wait_for(pid);
}

void SystemKernel::pause(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

std::chrono::milliseconds SystemKernel::now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
}

bool SystemKernel::superuser() { return geteuid() == 0; }

std::string SystemKernel::release() {
    struct utsname name = {};
    return uname(&name) == 0 ? name.release : "?";
}

}  // namespace cloopw
