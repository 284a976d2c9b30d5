// SPDX-License-Identifier: GPL-2.0
#include "successor.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <tuple>
#include <vector>

#include "lib/error.h"
#include "lib/fd.h"
#include "server.h"

namespace cloopw {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kAnswer(10000);

/* The parts of "0.1.0"; zeros: it is no version. */
std::tuple<int, int, int> number_of(const std::string &version) {
    int major = 0;
    int minor = 0;
    int patch = 0;
    (void)sscanf(version.c_str(), "%d.%d.%d", &major, &minor, &patch);
    return {major, minor, patch};
}

/* The arguments of this process, without its name and the state. */
std::vector<std::string> own_arguments() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> words;
    std::string word;
    std::getline(file, word, '\0');
    while (std::getline(file, word, '\0')) {
        if (!word.starts_with(kStateWord)) {
            words.push_back(word);
        }
    }
    return words;
}

/*
 * With the arguments that it gets later, so that it refuses those that it does not know.
 * Without the blocked and ignored signals of a server.
 */
pid_t spawn(const std::string &program, int output) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<std::string> words = own_arguments();
    words.insert(words.begin(), program);
    words.emplace_back("--state");
    std::vector<char *> argv;
    argv.reserve(words.size() + 1);
    for (std::string &word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    pid_t pid = -1;
    const int err = posix_spawn(&pid, program.c_str(), &files, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (err != 0) {
        throw io_error(program, "cannot be run", err, "the present server goes on");
    }
    return pid;
}

/* All that comes until the other end is closed, or until it takes too long. */
std::string read_soon(int from) {
    const auto until = Clock::now() + kAnswer;
    std::string text;
    char buf[256];
    for (;;) {
        const auto left = std::chrono::duration_cast<milliseconds>(until - Clock::now()).count();
        pollfd input = {from, POLLIN, 0};
        const int n = left > 0 ? poll(&input, 1, static_cast<int>(left)) : 0;
        if (n < 0 && errno == EINTR) {
            continue;
        }
        const ssize_t got = n > 0 ? read(from, buf, sizeof(buf)) : 0;
        if (got <= 0 || text.size() > sizeof(buf)) {
            return text;
        }
        text.append(buf, static_cast<size_t>(got));
    }
}

/* The program's own words; "" when it fails. */
std::string ask(const std::string &program) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        throw io_error(program, "cannot be run", errno);
    }
    const Fd from(ends[0]);
    Fd to(ends[1]);
    const pid_t pid = spawn(program, to.get());
    to = Fd();
    std::string said = read_soon(from.get());
    int status = 0;
    kill(pid, SIGKILL); /* one that has ended does not mind */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return said;
}

}  // namespace

std::string state_version() { return CLOOPW_VERSION " " + std::to_string(kStateLayout); }

void check_successor(const std::string &program) {
    std::istringstream said(ask(program));
    std::string version;
    uint32_t layout = 0;
    if (!(said >> version >> layout)) {
        throw Error(program +
                        ": does not say that it can take over; the present server goes on, until "
                        "the device is detached and attached again",
                    EPROTO);
    }
    if (number_of(version) < number_of(CLOOPW_VERSION)) {
        throw Error(program + ": has version " + version +
                        ", which is older than " CLOOPW_VERSION
                        " of the present server, and that goes on; to go back, detach the device "
                        "and attach it again",
                    EINVAL);
    }
    if (layout != kStateLayout) {
        throw Error(program + ": version " + version +
                        " keeps the state of a device otherwise; the present server goes on, until "
                        "the device is detached and attached again",
                    EINVAL);
    }
}

}  // namespace cloopw
