// SPDX-License-Identifier: GPL-2.0
#include "supervise.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>

#include "lib/error.h"
#include "lib/escape.h"

namespace cloopw {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/* In a row, of servers that served no longer than kMoment: a request may be what ends them. */
constexpr int kMostStarts = 20;
constexpr auto kMoment = 500ms;

/* Blocked for good, here and in each server, and taken by sigwaitinfo(): none gets lost. */
sigset_t block_signals(bool stay) {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
        if (stay && (number == SIGTERM || number == SIGHUP)) {
            (void)std::signal(number, SIG_IGN);
        } else {
            sigaddset(&set, number);
        }
    }
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return set;
}

ServerState *shared_state() {
    void *page = mmap(nullptr, sizeof(ServerState), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        throw io_error("cloopw-ublkd", "cannot share memory", errno);
    }
    return new (page) ServerState();
}

pid_t start(const std::function<int(ServerState &)> &server, ServerState &state) {
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(server(state));
    }
    if (pid < 0) {
        throw io_error("cloopw-ublkd", "cannot start a process", errno);
    }
    return pid;
}

/* The child's status. *ending: it was told to end, now or before. */
int wait_for(pid_t child, const sigset_t &set, bool *ending) {
    int status = 0;
    for (;;) {
        const int number = sigwaitinfo(&set, nullptr);
        if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child) {
            return status;
        }
        if (number > 0 && number != SIGCHLD) {
            *ending = true;
            kill(child, SIGINT);
        }
    }
}

void give_up(const ServerState &state, const std::string &idfile) {
    const uint32_t id = state.device;
    if (id == UINT32_MAX) {
        return;
    }
    (void)fprintf(stderr, "cloopw-ublkd: error: no server goes on; /dev/ublkb%u is removed\n", id);
    try {
        remove_device(id, false);
    } catch (const Error &e) {
        (void)fprintf(stderr, "cloopw-ublkd: %s\n", escaped(e.what()).c_str());
    }
    if (!idfile.empty()) {
        unlink(idfile.c_str());
    }
}

/*
 * Linux 6.12 cannot begin a recovery again that a server has begun and not ended: then
 * nobody goes on.
 */
bool can_go_on(int status, const ServerState &state) {
    return WIFSIGNALED(status) && state.ready && !state.recovering;
}

bool served_a_while(const ServerState &state) {
    const auto since = Clock::time_point(std::chrono::milliseconds(state.serves_since));
    return state.serves && Clock::now() - since > kMoment;
}

}  // namespace

int supervise(const std::function<int(ServerState &)> &server, bool stay,
              const std::string &idfile) {
    ServerState &state = *shared_state();
    const sigset_t set = block_signals(stay);
    bool ending = false;
    for (int starts = 1;; starts++) {
        state.serves = false;
        const int status = wait_for(start(server, state), set, &ending);
        starts = served_a_while(state) ? 1 : starts;
        if (ending || !can_go_on(status, state) || starts >= kMostStarts) {
            give_up(state, idfile);
            return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        }
        (void)fprintf(stderr, "cloopw-ublkd: the server was killed by signal %d; another goes on\n",
                      WTERMSIG(status));
    }
}

}  // namespace cloopw
