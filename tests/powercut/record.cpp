// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a program and records, in order, its system calls that change something below a
 * directory, and those that make it durable:
 *
 *   powercut-record DIR TRACE COMMAND [ARGUMENT...]
 *
 * TRACE gets a line for each call, TRACE.data the written bytes. A loop device counts as the
 * file in the directory that it shows. The program's standard
 * output is there, too. So a test knows what the program promised, and when. The exit
 * status is that of the program. Writes by io_uring or to mapped memory are not seen: the
 * programs under test must not use them on the medium.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                          PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
constexpr int kSyscallStop = SIGTRAP | 0x80;

struct Call {
    unsigned long long nr = ~0ULL;
    unsigned long long args[6] = {};
};

std::string link_text(const std::string &path) {
    char text[PATH_MAX];
    ssize_t n = readlink(path.c_str(), text, sizeof(text));
    return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
}

class Recorder {
public:
    Recorder(std::string dir, const std::string &trace)
        : dir_(std::move(dir)), trace_(trace), data_(trace + ".data", std::ios::binary) {
        struct stat st = {};
        if (stat(dir_.c_str(), &st) != 0 || !trace_ || !data_) {
            throw std::runtime_error(dir_ + ": cannot be looked at");
        }
        device_ = st.st_dev;
    }

    /* A system call of this thread has returned. */
    void returned(pid_t tid, const Call &call, long long result) {
        if (result < 0) {
            return;
        }
        const auto *a = call.args;
        const int fd = static_cast<int>(a[0]);
        const auto length = static_cast<unsigned long long>(result);
        switch (call.nr) {
            case SYS_pwrite64:
            case SYS_pwritev:
            case SYS_pwritev2:
                return wrote(tid, fd, a[3], length);
            case SYS_write:
            case SYS_writev:
                return fd == STDOUT_FILENO ? said(tid, call, length)
                                           : wrote(tid, fd, position(tid, fd) - length, length);
            case SYS_copy_file_range:
                return wrote(tid, static_cast<int>(a[2]),
                             position(tid, static_cast<int>(a[2])) - length, length);
            case SYS_ftruncate:
                return sized(tid, fd, "truncate", a[1]);
            case SYS_fallocate:
                return allocated(tid, fd, a[1], a[2], a[3]);
            case SYS_fsync:
            case SYS_fdatasync:
                return on_file(tid, fd, "sync", "");
            case SYS_open:
                return opened(tid, static_cast<int>(result), a[1]);
            case SYS_openat:
                return opened(tid, static_cast<int>(result), a[2]);
            default:
                return named(tid, call);
        }
    }

private:
    static std::string fd_path(pid_t tid, int fd) {
        return "/proc/" + std::to_string(tid) + "/fd/" + std::to_string(fd);
    }

    static unsigned long long position(pid_t tid, int fd) {
        std::ifstream info("/proc/" + std::to_string(tid) + "/fdinfo/" + std::to_string(fd));
        std::string word;
        unsigned long long at = 0;
        info >> word >> at;
        return at;
    }

    static std::string text_at(pid_t tid, unsigned long long address, size_t most) {
        std::string text(most, '\0');
        iovec local = {text.data(), most};
        iovec remote = {reinterpret_cast<void *>(address), most};
        ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
        text.resize(n < 0 ? 0 : static_cast<size_t>(n));
        return text;
    }

    /* Its absolute name; a page at a time, as the next may not be there. */
    static std::string path_at(pid_t tid, int dirfd, unsigned long long address) {
        constexpr size_t kPage = 4096;
        std::string path;
        while (path.find('\0') == std::string::npos) {
            const unsigned long long at = address + path.size();
            const std::string more = text_at(tid, at, kPage - at % kPage);
            if (more.empty()) {
                break;
            }
            path += more;
        }
        path = path.c_str();
        if (!path.empty() && path[0] == '/') {
            return path;
        }
        const std::string proc = "/proc/" + std::to_string(tid);
        return link_text(dirfd == AT_FDCWD ? proc + "/cwd" : fd_path(tid, dirfd)) + "/" + path;
    }

    bool is_below(const std::string &path) const { return path.rfind(dir_ + "/", 0) == 0; }

    /* False: not of the directory's file system. A loop device is its file. */
    bool is_ours(const std::string &path, struct stat *st) const {
        if (stat(path.c_str(), st) != 0) {
            return false;
        }
        if (S_ISBLK(st->st_mode)) {
            struct loop_info64 info = {};
            const int own = open(path.c_str(), O_RDONLY | O_CLOEXEC);
            const int err = ioctl(own, LOOP_GET_STATUS64, &info);
            close(own);
            st->st_dev = err == 0 ? info.lo_device : dev_t{0};
            st->st_ino = info.lo_inode;
        }
        return st->st_dev == device_;
    }

    /* A line about an inode of the directory's file system. */
    void on_file(pid_t tid, int fd, const char *what, const std::string &rest) {
        struct stat st = {};
        if (is_ours(fd_path(tid, fd), &st)) {
            trace_ << what << '\t' << st.st_ino << rest << '\n';
        }
    }

    void wrote(pid_t tid, int fd, unsigned long long at, unsigned long long length) {
        const std::string path = fd_path(tid, fd);
        struct stat st = {};
        if (!is_ours(path, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
            return;
        }
        std::vector<char> bytes(length);
        const int own = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        const ssize_t n = pread(own, bytes.data(), length, static_cast<off_t>(at));
        close(own);
        if (n != static_cast<ssize_t>(length)) {
            throw std::runtime_error(path + ": what was written cannot be read");
        }
        trace_ << "write\t" << st.st_ino << '\t' << at << '\t' << length << '\t' << data_.tellp()
               << '\n';
        data_.write(bytes.data(), n);
    }

    void said(pid_t tid, const Call &call, unsigned long long length) {
        if (call.nr == SYS_write) {
            std::string text = text_at(tid, call.args[1], length);
            for (char &c : text) {
                c = c == '\n' ? ' ' : c;
            }
            trace_ << "say\t" << text << '\n';
        }
    }

    void sized(pid_t tid, int fd, const char *what, unsigned long long size) {
        on_file(tid, fd, what, "\t" + std::to_string(size));
    }

    void allocated(pid_t tid, int fd, unsigned long long mode, unsigned long long at,
                   unsigned long long length) {
        const std::string range = "\t" + std::to_string(at) + "\t" + std::to_string(length);
        if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
            on_file(tid, fd, "zero", range);
        } else if ((mode & FALLOC_FL_KEEP_SIZE) == 0) {
            on_file(tid, fd, "extend", "\t" + std::to_string(at + length));
        }
    }

    void opened(pid_t tid, int fd, unsigned long long flags) {
        if ((flags & (O_CREAT | O_TRUNC)) == 0 || (flags & O_TMPFILE) == O_TMPFILE) {
            return;
        }
        const std::string path = link_text(fd_path(tid, fd));
        if (is_below(path)) {
            on_file(tid, fd, "create", "\t" + path);
        }
        if ((flags & O_TRUNC) != 0) {
            sized(tid, fd, "truncate", 0);
        }
    }

    void named(pid_t tid, const Call &call) {
        const auto *a = call.args;
        switch (call.nr) {
            case SYS_rename:
                return moved(path_at(tid, AT_FDCWD, a[0]), path_at(tid, AT_FDCWD, a[1]));
            case SYS_renameat:
            case SYS_renameat2:
                return moved(path_at(tid, static_cast<int>(a[0]), a[1]),
                             path_at(tid, static_cast<int>(a[2]), a[3]));
            case SYS_link:
                return linked(path_at(tid, AT_FDCWD, a[1]));
            case SYS_linkat:
                return linked(path_at(tid, static_cast<int>(a[2]), a[3]));
            case SYS_unlink:
                return removed(path_at(tid, AT_FDCWD, a[0]));
            case SYS_unlinkat:
                return removed(path_at(tid, static_cast<int>(a[0]), a[1]));
            default:
                return;
        }
    }

    void moved(const std::string &from, const std::string &to) {
        if (is_below(from) || is_below(to)) {
            trace_ << "rename\t" << from << '\t' << to << '\n';
        }
    }

    void linked(const std::string &path) {
        struct stat st = {};
        if (is_below(path) && lstat(path.c_str(), &st) == 0) {
            trace_ << "create\t" << st.st_ino << '\t' << path << '\n';
        }
    }

    void removed(const std::string &path) {
        if (is_below(path)) {
            trace_ << "unlink\t" << path << '\n';
        }
    }

    std::string dir_;
    dev_t device_ = 0;
    std::ofstream trace_;
    std::ofstream data_;
};

/* Where a thread is: at the entry or at the exit of a system call. */
void at_system_call(Recorder &recorder, std::map<pid_t, Call> &calls, pid_t tid) {
    __ptrace_syscall_info info = {};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) < 0) {
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        Call call;
        call.nr = info.entry.nr;
        memcpy(call.args, info.entry.args, sizeof(call.args));
        calls[tid] = call;
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        recorder.returned(tid, calls[tid], info.exit.rval);
    }
}

/* The signal to pass on when a thread has stopped for another reason. */
int signal_of(int status) {
    const int number = WSTOPSIG(status);
    const bool own = number == SIGTRAP || number == SIGSTOP;
    return own ? 0 : number;
}

int follow(Recorder &recorder, pid_t child) {
    std::map<pid_t, Call> calls;
    int result = 1;
    int status = 0;
    pid_t tid = 0;
    while ((tid = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            if (tid == child) {
                result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            continue;
        }
        int number = 0;
        if (WSTOPSIG(status) == kSyscallStop) {
            at_system_call(recorder, calls, tid);
        } else {
            number = signal_of(status);
        }
        ptrace(PTRACE_SYSCALL, tid, nullptr, number);
    }
    return result;
}

int run(char **argv) {
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child ||
        ptrace(PTRACE_SETOPTIONS, child, nullptr, kOptions) < 0) {
        throw std::runtime_error("cannot trace: " + std::string(strerror(errno)));
    }
    Recorder recorder(argv[1], argv[2]);
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    return follow(recorder, child);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: powercut-record DIR TRACE COMMAND [ARGUMENT...]\n");
        return 2;
    }
    try {
        return run(argv);
    } catch (const std::exception &e) {
        fprintf(stderr, "powercut-record: %s\n", e.what());
        return 125;
    }
}
