// SPDX-License-Identifier: GPL-2.0
#include "supervise.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "hold.h"
#include "lib/error.h"
#include "lib/escape.h"
#include "lib/fd.h"
#include "lib/memory_file.h"
#include "successor.h"

namespace cloopw {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/* In a row, of servers that served no longer than kMoment: a request may be what ends them. */
constexpr int kMostStarts = 20;
constexpr auto kMoment = 500ms;
constexpr auto kEnd = 10s; /* until a killed server has ended */

constexpr const char *kServerName = "cloopw-ublkd";
constexpr const char *kWatchName = "cloopw-watch";

/* Blocked for good, here and in each server, and taken by sigwaitinfo(): none gets lost. */
sigset_t block_signals(bool stay) {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1}) {
        if (stay && (number == SIGTERM || number == SIGHUP)) {
            (void)std::signal(number, SIG_IGN);
        } else {
            sigaddset(&set, number);
        }
    }
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return set;
}

ServerState *map_state(int fd) {
    void *page = mmap(nullptr, sizeof(ServerState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        throw io_error("cloopw-ublkd", "cannot share memory", errno);
    }
    return static_cast<ServerState *>(page);
}

/* A new one, in memory that other versions of this program can have, too. */
ServerState *make_state(Fd &memory) {
    memory = memory_file("ublk-state");
    if (memory.get() < 0 || ftruncate(memory.get(), sizeof(ServerState)) != 0) {
        throw io_error("cloopw-ublkd", "cannot share memory", errno);
    }
    return new (map_state(memory.get())) ServerState();
}

/* That of the program before. */
ServerState *take_state(const Fd &memory) {
    struct stat st = {};
    ServerState *state = nullptr;
    if (fstat(memory.get(), &st) == 0 && st.st_size == off_t{sizeof(ServerState)}) {
        state = map_state(memory.get());
    }
    if (state == nullptr || state->layout != kStateLayout) {
        throw UsageError("state=" + std::to_string(memory.get()) +
                         ": is not the state of a server that this program can replace");
    }
    return state;
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

bool served_a_while(const ServerState &state) {
    const auto since = Clock::time_point(std::chrono::milliseconds(state.serves_since));
    return state.serves && Clock::now() - since > kMoment;
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

/*
 * Returns in the supervisor, and in the watch when that has become the supervisor. The watch
 * does not keep the descriptor open.
 */
Watch keep_watch(ServerState &state, Fd &descriptor) {
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
            state.watch = pid;
            return {std::move(alive), pid};
        }
        alive = Fd();
        descriptor = Fd();
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
void end_watch(ServerState &state, Watch &watch) {
    if (watch.pid <= 0) {
        return;
    }
    state.watch = -1;
    kill(watch.pid, SIGKILL); /* a server may keep the other end open */
    while (waitpid(watch.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    watch = Watch();
}

/* A server of the program before: a child, or left by a supervisor that was killed. */
void end_server(pid_t pid) {
    const auto until = Clock::now() + kEnd;
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    while (kill(pid, 0) == 0 && Clock::now() < until) {
        std::this_thread::sleep_for(1ms);
    }
}

class Supervisor {
public:
    Supervisor(const std::function<int(ServerState &)> &server, const Supervision &how)
        : server_(server),
          how_(how),
          memory_(how.state),
          state_(how.state < 0 ? *make_state(memory_) : *take_state(memory_)),
          predecessor_(state_.predecessor.exchange(-1)),
          set_(block_signals(how.stay)) {
        for (const int fd : {memory_.get(), predecessor_.get()}) {
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
        (void)prctl(PR_SET_NAME, kServerName, 0, 0, 0); /* a program without a name has another */
    }

    int run() {
        want_watch();
        if (state_.taking_over.exchange(false)) {
            state_.paused_since = now_ms();
            end_server(state_.server);
        }
        const int status = run_servers();
        state_.ended = true;
        end_watch(state_, watch_);
        return status;
    }

private:
    /* Returns in the watch, too, when that has become the supervisor. */
    void want_watch() {
        if (how_.stay && watch_.pid <= 0) {
            watch_ = keep_watch(state_, predecessor_);
        }
        state_.supervisor = getpid();
    }

    /* The exit code. It begins with a device that a server has left, or with none. */
    int run_servers() {
        if (state_.device != UINT32_MAX && !can_recover(state_)) {
            give_up(state_, how_.idfile);
            return EXIT_FAILURE;
        }
        for (int starts = 1;; starts++) {
            want_watch();
            const int status = wait_for(start());
            starts = served_a_while(state_) ? 1 : starts;
            if (!ending_ && !state_.serves && can_recover(state_)) {
                go_back();
            }
            if (ending_ || !WIFSIGNALED(status) || !can_recover(state_) || starts >= kMostStarts) {
                give_up(state_, how_.idfile);
                return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
            }
            (void)fprintf(stderr,
                          "cloopw-ublkd: the server was killed by signal %d; another goes on\n",
                          WTERMSIG(status));
        }
    }

    pid_t start() {
        state_.serves = false;
        const pid_t pid = fork();
        if (pid == 0) {
            predecessor_ = Fd();
            _exit(server_(state_));
        }
        if (pid < 0) {
            throw io_error("cloopw-ublkd", "cannot start a process", errno);
        }
        state_.server = pid;
        return pid;
    }

    /* The child's status. */
    int wait_for(pid_t child) {
        int status = 0;
        for (;;) {
            const int number = next_signal();
            if (number == SIGCHLD && waitpid(child, &status, WNOHANG) == child) {
                return status;
            }
            if (number == SIGUSR1) {
                if (!ending_) { /* the device is going */
                    take_over();
                }
            } else if (number > 0 && number != SIGCHLD) {
                ending_ = true;
                kill(child, SIGINT);
            }
        }
    }

    /* The program before is needed until a server of this one serves. */
    int next_signal() {
        constexpr timespec kLook = {0, 50'000'000};
        while (predecessor_.get() >= 0) {
            const int number = sigtimedwait(&set_, nullptr, &kLook);
            if (number > 0) {
                return number;
            }
            if (state_.serves) {
                predecessor_ = Fd();
            }
        }
        return sigwaitinfo(&set_, nullptr);
    }

    /*
     * The successor starts in this process while the child serves on, and ends that. So
     * nothing is read from a device that nobody serves. Returns only when it cannot start.
     */
    void take_over() {
        const std::string program = state_.successor;
        state_.successor[0] = '\0';
        if (program.empty()) {
            return;
        }
        (void)fprintf(stderr, "cloopw-ublkd: %s takes over\n", escaped(program).c_str());
        const Fd self(open("/proc/self/exe", O_RDONLY));
        state_.predecessor = self.get();
        state_.taking_over = true;
        end_watch(state_, watch_);
        const int err = execute([&](char **argv) { execv(program.c_str(), argv); });
        state_.predecessor = -1;
        state_.taking_over = false;
        (void)fprintf(stderr,
                      "cloopw-ublkd: error: %s: cannot be run: %s; the program before goes on\n",
                      escaped(program).c_str(), errno_text(err).c_str());
        kill(state_.server, SIGKILL); /* the next one has a watch */
    }

    /* Returns when there is no program before, or it cannot start. */
    void go_back() {
        if (predecessor_.get() < 0) {
            return;
        }
        (void)fputs("cloopw-ublkd: error: " CLOOPW_VERSION
                    " cannot go on; the program before does\n",
                    stderr);
        end_watch(state_, watch_);
        (void)execute([&](char **argv) { fexecve(predecessor_.get(), argv, environ); });
        predecessor_ = Fd();
    }

    /* Calls exec with the arguments of this program and the state. The error. */
    template <typename Exec>
    int execute(const Exec &exec) {
        std::string state = kStateWord + std::to_string(memory_.get());
        std::vector<char *> argv;
        for (char **word = how_.argv; *word != nullptr; word++) {
            if (!std::string_view(*word).starts_with(kStateWord)) {
                argv.push_back(*word);
            }
        }
        argv.push_back(state.data());
        argv.push_back(nullptr);
        (void)fcntl(memory_.get(), F_SETFD, 0);
        exec(argv.data());
        const int err = errno;
        (void)fcntl(memory_.get(), F_SETFD, FD_CLOEXEC);
        return err;
    }

    const std::function<int(ServerState &)> &server_;
    const Supervision &how_;
    Fd memory_; /* has the state */
    ServerState &state_;
    Fd predecessor_; /* a program that goes on when this one cannot; or none */
    const sigset_t set_;
    Watch watch_;
    bool ending_ = false; /* a signal has told it to end */
};

}  // namespace

int supervise(const std::function<int(ServerState &)> &server, const Supervision &how) {
    return Supervisor(server, how).run();
}

}  // namespace cloopw
