// SPDX-License-Identifier: GPL-2.0
#include "process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <thread>

#include "lib/error.h"
#include "lib/fd.h"

namespace cloopw {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStep(10);
constexpr int kCannotExec = 127;

void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        close(fd);
    }
}

/* The child's inputs. */
struct Start {
    char *const *argv;
    int log;
    int null;
    int keep; /* or -1 */
    int go;   /* a byte comes from here when it may begin */
};

/*
 * The caller's own settings are not for a server: blocked and ignored signals, a limit of
 * its time, open files. TERM and HUP, which end a session, do not end the process that a
 * block device depends on; nbdfuse leaves them so.
 */
void forget_caller(int keep) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int number = 1; number < NSIG; number++) {
        const bool ignored = number == SIGTERM || number == SIGHUP || number == SIGXFSZ;
        (void)std::signal(number, ignored ? SIG_IGN : SIG_DFL);
    }
    struct rlimit time = {};
    if (getrlimit(RLIMIT_CPU, &time) == 0) {
        time.rlim_cur = time.rlim_max;
        setrlimit(RLIMIT_CPU, &time);
    }
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    if (keep >= 0) {
        fcntl(keep, F_SETFD, 0);
    }
}

/* In the child. Nothing here allocates or throws. */
[[noreturn]] void become(const Start &start) {
    char go = 0;
    if (read(start.go, &go, 1) != 1) {
        _exit(kCannotExec);
    }
    setsid();
    umask(S_IRWXG | S_IRWXO);
    dup2(start.null, STDIN_FILENO);
    dup2(start.log, STDOUT_FILENO);
    dup2(start.log, STDERR_FILENO);
    forget_caller(start.keep);
    /* Both want root and are only of use where memory is short. */
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    write_text("/proc/self/oom_score_adj", "-1000");
    if (chdir("/") == 0) {
        execv(start.argv[0], start.argv);
    }
    _exit(kCannotExec);
}

/*
 * A process whose parent has ended already, since nbdkit ends with its parent.
 * Returns its pid; <= 0: there is none.
 */
pid_t fork_orphan(const Start &start, int begin) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    const Fd from(ends[0]);
    const Fd to(ends[1]);
    const pid_t between = fork();
    if (between == 0) {
        const pid_t pid = fork();
        if (pid == 0) {
            close(begin); /* else it would wait for itself */
            become(start);
        }
        (void)!write(to.get(), &pid, sizeof(pid));
        _exit(0);
    }
    if (between < 0 || waitpid(between, nullptr, 0) != between) {
        return -1;
    }
    pid_t pid = 0;
    return read(from.get(), &pid, sizeof(pid)) == sizeof(pid) ? pid : -1;
}

std::string own_cgroups() {
    std::ifstream file("/proc/self/cgroup");
    return {std::istreambuf_iterator<char>(file), {}};
}

/* Can systemd be told anything? A container may have its files and no systemd. */
bool does_systemd_answer() {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    constexpr std::string_view kSocket = "/run/systemd/private"; /* systemd-run's, for root */
    kSocket.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return fd.get() >= 0 &&
           connect(fd.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0;
}

/*
 * The command that starts a server outside of the caller's session or service. systemd ends
 * a session before it unmounts anything, at a shutdown too, with SIGKILL where SIGTERM does
 * not help. It ends a service in the same way when that stops or its first process ends.
 * Nobody ends the scope that systemd-run makes, so the server outlives the unmounting of the
 * file systems on its device. The process and its number stay the same.
 */
std::vector<std::string> out_of_cgroup(const std::vector<std::string> &argv) {
    const std::string run = find_program("systemd-run");
    if (run.empty() || !ends_with_its_cgroup(own_cgroups()) || !does_systemd_answer()) {
        return argv;
    }
    std::vector<std::string> all = {run,
                                    "--quiet",
                                    "--scope",
                                    "--collect",
                                    "--slice=system.slice",
                                    "-p",
                                    "DefaultDependencies=no",
                                    "--description=serves a cloopw device",
                                    "--"};
    all.insert(all.end(), argv.begin(), argv.end());
    return all;
}

bool is_program(const std::string &path) {
    struct stat st = {};
    return stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

bool ends_with_its_cgroup(const std::string &cgroups) {
    std::istringstream lines(cgroups);
    for (std::string line; std::getline(lines, line);) {
        if ((line + "/").find(".service/") != std::string::npos ||
            line.find("/user.slice/") != std::string::npos) {
            return true;
        }
    }
    return false;
}

std::string find_program(const std::string &name) {
    const char *path = getenv("PATH");
    std::istringstream dirs(std::string(path != nullptr ? path : "") +
                            ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    for (std::string dir; std::getline(dirs, dir, ':');) {
        dir.append("/").append(name);
        if (dir.front() == '/' && is_program(dir)) {
            return dir;
        }
    }
    return "";
}

Process start_process(const std::vector<std::string> &argv, const std::string &log, int keep,
                      const Record &record) {
    Fd out(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR));
    Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    int ends[2];
    if (out.get() < 0 || null.get() < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        throw io_error(log, "cannot be opened for " + argv[0], errno);
    }
    Fd go(ends[0]);
    Fd begin(ends[1]);
    const std::vector<std::string> all = out_of_cgroup(argv);
    std::vector<char *> words;
    words.reserve(all.size() + 1);
    for (const std::string &word : all) {
        words.push_back(const_cast<char *>(word.c_str()));
    }
    words.push_back(nullptr);
    const pid_t pid =
        fork_orphan({words.data(), out.get(), null.get(), keep, go.get()}, begin.get());
    if (pid <= 0) {
        throw io_error(argv[0], "cannot start", errno != 0 ? errno : EAGAIN);
    }
    Process process = process_of(pid);
    record(process);
    if (write(begin.get(), "", 1) != 1) {
        throw io_error(argv[0], "cannot start", errno);
    }
    return process;
}

void go_on(const Process &process) {
    if (is_stopped(process)) {
        kill(process.pid, SIGCONT);
    }
}

bool wait_for_end(const Process &process, milliseconds most) {
    const auto until = std::chrono::steady_clock::now() + most;
    while (is_alive(process)) {
        if (std::chrono::steady_clock::now() >= until) {
            return false;
        }
        std::this_thread::sleep_for(kStep);
    }
    return true;
}

}  // namespace cloopw
