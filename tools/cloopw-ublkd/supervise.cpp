// SPDX-License-Identifier: GPL-2.0
#include "supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
constexpr auto kEnd = 10s;                 /* until a killed server has ended */
constexpr auto kPause = 500ms;             /* after a server that failed */
constexpr int kKilled = SIGKILL;           /* wait() says it so */
constexpr int kFailed = EXIT_FAILURE << 8; /* the same */

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

void say(const std::string &text) {
    (void)fprintf(stderr, "cloopw-ublkd: error: %s\n", escaped(text).c_str());
}

void give_up(const ServerState &state, const std::string &idfile) {
    const uint32_t id = state.device;
    if (id == UINT32_MAX) {
        return;
    }
    say("no server goes on; /dev/ublkb" + std::to_string(id) + " is removed");
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

/* -1: it is none that could have another name one day, or nobody can open it. */
int open_file(const std::string &path) {
    struct stat st = {};
    if (path.empty() || stat(path.c_str(), &st) != 0 ||
        !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
        return -1;
    }
    return open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

/* A process that goes on when the supervisor and its server were killed. */
struct Watch {
    Fd alive; /* the watch sees its end: of the supervisor, and of each server */
    pid_t pid = -1;
};

/* In the watch. Nobody writes: it waits until none of them has the other end open. */
void wait_until_all_ended(int from, int server) {
    char none = 0;
    while (read(from, &none, 1) < 0 && errno == EINTR) {
    }
    pollfd ended = {server, POLLIN, 0}; /* poll() passes a negative one over */
    while (server >= 0 && poll(&ended, 1, -1) < 0 && errno == EINTR) {
    }
}

/*
 * In the watch: returns when it is to be the supervisor. server: descriptor of a process that
 * is there already, and has not the other end; or -1.
 */
void be_watch(ServerState &state, int from, int server) {
    (void)prctl(PR_SET_NAME, kWatchName, 0, 0, 0);
    hold_memory();
    wait_until_all_ended(from, server);
    if (state.ended || state.device == UINT32_MAX) {
        _exit(EXIT_SUCCESS);
    }
    (void)prctl(PR_SET_NAME, kServerName, 0, 0, 0);
    (void)fputs("cloopw-ublkd: server and supervisor were killed; others go on\n", stderr);
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
        keep_over_exec(false);
        (void)prctl(PR_SET_NAME, kServerName, 0, 0, 0); /* a program without a name has another */
    }

    int run() {
        prepare();
        if (state_.image < 0) {
            state_.image = open_file(how_.image);
        }
        (void)want_watch(-1);
        if (state_.taking_over) {
            state_.paused_since = now_ms();
            end_server(state_.server);
            state_.taking_over =
                false; /* the COW is free now, also for one that the watch starts */
        }
        const int status = run_servers();
        state_.ended = true;
        end_watch(state_, watch_);
        return status;
    }

private:
    void prepare() {
        try {
            how_.prepare();
        } catch (const std::exception &e) {
            if (predecessor_.get() >= 0) {
                say(e.what());
                go_back();
            }
            throw;
        }
    }

    /*
     * server: a child that is there already; or -1. Without a watch it goes on, too. Returns
     * in the watch, too, when that has become the supervisor, and true then.
     */
    bool want_watch(pid_t server) {
        if (watch_.pid > 0 && waitpid(watch_.pid, nullptr, WNOHANG) == watch_.pid) {
            watch_ = Watch();
            state_.watch = -1;
        }
        bool is_watch = false;
        while (how_.stay && watch_.pid <= 0 && start_watch(server)) {
            is_watch = true;
            server = -1;
        }
        state_.supervisor = getpid();
        return is_watch;
    }

    /* True: in the watch, which has become the supervisor. */
    bool start_watch(pid_t server) {
        const Fd present(server > 0 ? static_cast<int>(syscall(SYS_pidfd_open, server, 0)) : -1);
        int ends[2];
        const bool has_pipe = pipe2(ends, O_CLOEXEC) == 0;
        Fd from(has_pipe ? ends[0] : -1);
        Fd alive(has_pipe ? ends[1] : -1);
        const pid_t pid = has_pipe ? fork() : -1;
        if (pid == 0) {
            alive = Fd();
            predecessor_ = Fd();
            be_watch(state_, from.get(), present.get());
            return true;
        }
        if (pid < 0) {
            say("no process can watch the server: " + errno_text(errno));
            return false;
        }
        state_.watch = pid;
        watch_ = {std::move(alive), pid};
        return false;
    }

    /* The exit code. It begins with a device that a server has left, or with none. */
    int run_servers() {
        int status = kFailed;
        while (state_.device == UINT32_MAX ? !began_ : can_recover(state_)) {
            began_ = true;
            (void)want_watch(-1);
            status = wait_for(start());
            if (!ending_ && !state_.serves && can_recover(state_)) {
                go_back();
            }
            if (!is_another_wanted(status)) {
                break;
            }
        }
        if (WIFSIGNALED(status) && state_.ready && state_.device == UINT32_MAX) {
            say("the server was killed before it had stored all; what was flushed is there");
        }
        give_up(state_, how_.idfile);
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        return code == kExitNever ? EXIT_FAILURE : code;
    }

    /* After a server that failed it waits for a moment: the reason may pass. */
    bool is_another_wanted(int status) {
        if (served_a_while(state_)) {
            killed_ = 0;
            failing_ = false;
        }
        if (ending_ || !can_recover(state_)) {
            return false;
        }
        if (WIFSIGNALED(status)) {
            (void)fprintf(stderr,
                          "cloopw-ublkd: the server was killed by signal %d; another goes on\n",
                          WTERMSIG(status));
            return ++killed_ < kMostStarts;
        }
        if (!failing_) {
            failing_ = true;
            failing_since_ = Clock::now();
        }
        if (WEXITSTATUS(status) == kExitNever || Clock::now() - failing_since_ > how_.patience) {
            return false;
        }
        (void)fputs("cloopw-ublkd: the server failed; another one tries\n", stderr);
        pause();
        return !ending_;
    }

    /* Meanwhile a signal may tell it to end. */
    void pause() {
        const auto until = Clock::now() + kPause;
        constexpr timespec kStep = {0, 50'000'000};
        while (!ending_ && Clock::now() < until) {
            const int number = sigtimedwait(&set_, nullptr, &kStep);
            ending_ = number > 0 && number != SIGCHLD && number != SIGUSR1;
        }
    }

    /* -1: no process can be made. */
    pid_t start() {
        state_.serves = false;
        const pid_t pid = fork();
        if (pid == 0) {
            predecessor_ = Fd();
            _exit(server_(state_));
        }
        if (pid < 0) {
            say("cannot start a process: " + errno_text(errno));
            return -1;
        }
        state_.server = pid;
        return pid;
    }

    /* The child's status; in a watch that has become the supervisor, that it was killed. */
    int wait_for(pid_t child) {
        int status = 0;
        while (child > 0) {
            const int number = next_signal();
            if (number == SIGCHLD) {
                if (waitpid(child, &status, WNOHANG) == child) {
                    return status;
                }
                if (want_watch(child)) {
                    return kKilled;
                }
            } else if (number == SIGUSR1) {
                if (!ending_ && take_over(child)) { /* else the device is going */
                    return kKilled;
                }
            } else if (number > 0) {
                ending_ = true;
                kill(child, SIGINT);
            } else if (number == 0 && !state_.serves) {
                return kFailed; /* it ends when the medium answers */
            }
        }
        return kFailed;
    }

    /*
     * The program before is needed until a server of this one serves. A server that does not
     * serve yet may wait for its medium, which no signal ends: 0 tells that it is late.
     */
    int next_signal() {
        constexpr timespec kLook = {0, 50'000'000};
        const auto late = Clock::now() + kEnd;
        while (predecessor_.get() >= 0 || (ending_ && !state_.serves)) {
            const int number = sigtimedwait(&set_, nullptr, &kLook);
            if (number > 0) {
                return number;
            }
            if (state_.serves) {
                predecessor_ = Fd();
            }
            if (ending_ && Clock::now() > late) {
                return 0;
            }
        }
        return sigwaitinfo(&set_, nullptr);
    }

    /*
     * The successor starts in this process while the child serves on, and ends that. So
     * nothing is read from a device that nobody serves. Returns only when it cannot start;
     * the same as want_watch().
     */
    bool take_over(pid_t child) {
        const std::string program = state_.successor;
        state_.successor[0] = '\0';
        if (program.empty()) {
            return false;
        }
        (void)fprintf(stderr, "cloopw-ublkd: %s takes over\n", escaped(program).c_str());
        const Fd self(open("/proc/self/exe", O_RDONLY));
        state_.predecessor = self.get();
        state_.taking_over = true;
        end_watch(state_, watch_);
        const int err = execute([&](char **argv) { execv(program.c_str(), argv); });
        state_.predecessor = -1;
        state_.taking_over = false;
        say(program + ": cannot be run: " + errno_text(err) + "; the program before goes on");
        return want_watch(child);
    }

    /* Returns when there is no program before, or it cannot start. */
    void go_back() {
        if (predecessor_.get() < 0) {
            return;
        }
        say(CLOOPW_VERSION " cannot go on; the program before does");
        end_watch(state_, watch_);
        (void)execute([&](char **argv) { fexecve(predecessor_.get(), argv, environ); });
        predecessor_ = Fd();
    }

    /* Another program gets the descriptors of the state and of the image, and no other one. */
    void keep_over_exec(bool keep) {
        for (const int fd : {memory_.get(), state_.image.load()}) {
            (void)fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
        }
        (void)fcntl(predecessor_.get(), F_SETFD, FD_CLOEXEC);
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
        keep_over_exec(true);
        exec(argv.data());
        const int err = errno;
        keep_over_exec(false);
        return err;
    }

    const std::function<int(ServerState &)> &server_;
    const Supervision &how_;
    Fd memory_; /* has the state */
    ServerState &state_;
    Fd predecessor_; /* a program that goes on when this one cannot; or none */
    const sigset_t set_;
    Watch watch_;
    bool ending_ = false;             /* a signal has told it to end */
    bool began_ = false;              /* there was a server */
    int killed_ = 0;                  /* servers in a row that were killed soon */
    bool failing_ = false;            /* servers fail */
    Clock::time_point failing_since_; /* only if failing_ */
};

}  // namespace

int supervise(const std::function<int(ServerState &)> &server, const Supervision &how) {
    return Supervisor(server, how).run();
}

}  // namespace cloopw
