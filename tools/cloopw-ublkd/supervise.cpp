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

constexpr int kMostStarts = 10; /* within kWhile */
constexpr auto kWhile = 10s;

volatile pid_t child;         /* for the handler; 0: none */
volatile sig_atomic_t ending; /* a signal came, perhaps between two children */

void pass_on(int number) {
    ending = 1;
    if (child > 0) {
        kill(child, number);
    }
}

void catch_signals(bool stay) {
    struct sigaction action = {};
    action.sa_handler = pass_on;
    sigaction(SIGINT, &action, nullptr);
    action.sa_handler = stay ? SIG_IGN : pass_on;
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGHUP, &action, nullptr);
}

ServerState *shared_state() {
    void *page = mmap(nullptr, sizeof(ServerState), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        throw io_error("cloopw-ublkd", "cannot share memory", errno);
    }
    return new (page) ServerState();
}

/* A signal between fork and here is not lost: it is blocked meanwhile. */
pid_t start(const std::function<int(ServerState &)> &server, ServerState &state) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    const pid_t pid = fork();
    if (pid == 0) {
        for (int number : {SIGINT, SIGTERM, SIGHUP}) {
            (void)std::signal(number, SIG_DFL);
        }
        child = 0;
        sigprocmask(SIG_SETMASK, &before, nullptr);
        _exit(server(state));
    }
    child = pid;
    sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) {
        throw io_error("cloopw-ublkd", "cannot start a process", errno);
    }
    return pid;
}

int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    child = 0;
    return status;
}

void give_up(const ServerState &state) {
    const uint32_t id = state.device;
    if (id == UINT32_MAX) {
        return;
    }
    try {
        remove_device(id);
    } catch (const Error &e) {
        (void)fprintf(stderr, "cloopw-ublkd: %s\n", escaped(e.what()).c_str());
    }
}

}  // namespace

int supervise(const std::function<int(ServerState &)> &server, bool stay) {
    ServerState &state = *shared_state();
    catch_signals(stay);
    Clock::time_point since = Clock::now();
    for (int starts = 1;; starts++) {
        const int status = wait_for(start(server, state));
        if (Clock::now() - since > kWhile) {
            since = Clock::now();
            starts = 0;
        }
        if (!WIFSIGNALED(status) || ending != 0 || !state.ready || starts >= kMostStarts) {
            give_up(state);
            return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        }
        (void)fprintf(stderr, "cloopw-ublkd: the server was killed by signal %d; another goes on\n",
                      WTERMSIG(status));
    }
}

}  // namespace cloopw
