// SPDX-License-Identifier: GPL-2.0
#include "supervise.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <utility>

#include "hold.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/fd.h"

namespace cloopw {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/* In a row, of servers that served no longer than kMoment: a request may be what ends them. */
constexpr int kMostStarts = 20;
constexpr auto kMoment = 500ms;

constexpr const char *kServerName = "cloopw-ublkd";
constexpr const char *kWatchName = "cloopw-watch";

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

/* Linux 6.12 cannot begin a recovery again that a server has begun and not ended. */
bool can_recover(const ServerState &state) { return state.ready && !state.recovering; }

bool can_go_on(int status, const ServerState &state) {
    return WIFSIGNALED(status) && can_recover(state);
}

bool served_a_while(const ServerState &state) {
    const auto since = Clock::time_point(std::chrono::milliseconds(state.serves_since));
    return state.serves && Clock::now() - since > kMoment;
}

/* The exit code. It begins with a device that a server has left, or with none. */
int run_servers(const std::function<int(ServerState &)> &server, ServerState &state,
                const sigset_t &set, const std::string &idfile) {
    if (state.device != UINT32_MAX && !can_recover(state)) {
        give_up(state, idfile);
        return EXIT_FAILURE;
    }
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

/* A process that goes on when the supervisor and its server were killed. */
struct Watch {
    Fd alive; /* the watch sees its end: of the supervisor, and of each server */
    pid_t pid = -1;
};

/* In the watch. Nobody writes: it waits until none of them has the other end open. */
void wait_until_all_ended(int from) {
    char none = 0;
    while (read(from, &none, 1) < 0 && errno == EINTR) {
    }
}

/* Returns in the supervisor, and in the watch when that has become the supervisor. */
Watch keep_watch(const ServerState &state) {
    for (;;) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            throw io_error("cloopw-ublkd", "cannot start a process", errno);
        }
        Fd from(ends[0]);
        Fd alive(ends[1]);
        const pid_t pid = fork();
        if (pid < 0) {
            throw io_error("cloopw-ublkd", "cannot start a process", errno);
        }
        if (pid > 0) {
            return {std::move(alive), pid};
        }
        alive = Fd();
        (void)prctl(PR_SET_NAME, kWatchName, 0, 0, 0);
        hold_memory();
        wait_until_all_ended(from.get());
        if (state.ended || state.device == UINT32_MAX) {
            _exit(EXIT_SUCCESS);
        }
        (void)prctl(PR_SET_NAME, kServerName, 0, 0, 0);
        (void)fputs("cloopw-ublkd: server and supervisor were killed; others go on\n", stderr);
    }
}

/* After its end nothing of it holds a namespace of mounts. */
void end_watch(Watch &watch) {
    watch.alive = Fd();
    while (waitpid(watch.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace

int supervise(const std::function<int(ServerState &)> &server, bool stay,
              const std::string &idfile) {
    ServerState &state = *shared_state();
    const sigset_t set = block_signals(stay);
    if (!stay) {
        return run_servers(server, state, set, idfile);
    }
    Watch watch = keep_watch(state);
    const int status = run_servers(server, state, set, idfile);
    state.ended = true;
    end_watch(watch);
    return status;
}

}  // namespace cloopw
