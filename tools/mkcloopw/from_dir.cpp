// SPDX-License-Identifier: GPL-2.0
#include "from_dir.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "ext4_times.h"
#include "lib/image/scratch_file.h"
#include "lib/size.h"
#include "lib/uuid.h"
#include "tools/common/table.h"
#include "tree.h"

namespace cloopw {

namespace {

constexpr u32 kBlock = 4096;
constexpr u32 kInode = 256;
constexpr u64 kBytesPerInode = 16384; /* mke2fs' own rule */
constexpr size_t kLabelLen = 16;
constexpr u64 kLeastBlocks = 4096; /* with less there is no journal */
constexpr int kAttempts = 4;
constexpr int kCannotRun = 127;

/* The size of mke2fs's journal for a file system of so many blocks. */
u64 journal_blocks(u64 blocks) {
    struct Step {
        u64 below;
        u64 journal;
    };
    constexpr Step kSteps[] = {{32768, 1024},     {262144, 4096},   {524288, 8192},
                               {4194304, 16384},  {8388608, 32768}, {16777216, 65536},
                               {33554432, 131072}};
    for (const Step &step : kSteps) {
        if (blocks < step.below) {
            return step.journal;
        }
    }
    return 262144;
}

/* The size of a file system. */
struct Plan {
    u64 blocks = 0;
    u64 inodes = 0;
};

u64 inodes_for(const Tree &tree, u64 blocks) {
    return std::max(tree.inodes + tree.inodes / 16 + 32,
                    std::max(blocks, kLeastBlocks) * kBlock / kBytesPerInode);
}

/* A size that is surely, or nearly surely, enough for the tree and so many more blocks. */
Plan plan_for(const Tree &tree, u64 more) {
    Plan plan;
    plan.inodes = inodes_for(tree, tree.blocks + more);
    u64 blocks = tree.blocks + more + cw_div_up(plan.inodes * kInode, kBlock) + 64;
    blocks += blocks / 48; /* bitmaps, descriptors, and room for them to grow */
    blocks += journal_blocks(blocks + blocks / 8);
    plan.blocks = std::max(cw_round_up(blocks + 512, 256), kLeastBlocks);
    return plan;
}

/* The time at which mke2fs works, as it believes. */
u64 now_of(const FromDirOptions &options, const Tree &tree) {
    return std::max<u64>(options.date.value_or(static_cast<u64>(std::max<s64>(tree.newest, 0))), 1);
}

std::string last_line(const std::string &text) {
    size_t end = text.find_last_not_of('\n');
    if (end == std::string::npos) {
        return "it does not say why";
    }
    size_t begin = text.rfind('\n', end);
    begin = begin == std::string::npos ? 0 : begin + 1;
    return text.substr(begin, end - begin + 1);
}

/* One run of mke2fs over a file of some size. */
class Mke2fs {
public:
    Mke2fs(const FromDirOptions &options, const Tree &tree, const Plan &plan, const Io &io)
        : options_(options),
          tree_(tree),
          plan_(plan),
          hidden_(tree.hidden),
          io_(io),
          said_(Io::adopt(memfd_create("mke2fs", MFD_CLOEXEC), "mke2fs")) {}

    /* false: the file system was too small. Throws for any other failure. */
    bool run() {
        std::vector<std::string> args = arguments();
        pid_t pid = start(args);
        int status = wait_for(pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            check_hidden();
            return true;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotRun) {
            throw Error("mke2fs: cannot be run; install e2fsprogs", ENOENT);
        }
        std::string text = said();
        if (text.find("Could not allocate") != std::string::npos ||
            text.find("No free space") != std::string::npos ||
            text.find("too big for a filesystem") != std::string::npos) {
            return false;
        }
        throw Error(options_.path + ": mke2fs fails: " + last_line(text));
    }

private:
    void check_hidden() const {
        if (!hidden_.were_asked()) {
            throw Error(
                "mke2fs: takes files that are to be left out, as it loads no library of others; "
                "use Debian's mke2fs, or leave --exclude and --one-file-system out");
        }
    }

    /* All settings that could differ between two runs are given. */
    std::vector<std::string> arguments() const {
        std::string uuid = format_uuid(tree_.uuid.data());
        return {"mke2fs",
                "-q",
                "-F",
                "-t",
                "ext4",
                "-b",
                std::to_string(kBlock),
                "-I",
                std::to_string(kInode),
                "-m",
                "0",
                "-N",
                std::to_string(plan_.inodes),
                "-U",
                uuid,
                "-L",
                options_.label.substr(0, kLabelLen),
                "-E",
                "nodiscard,lazy_itable_init=0,lazy_journal_init=0,hash_seed=" + uuid +
                    ",root_owner=" + std::to_string(tree_.root.st_uid) + ":" +
                    std::to_string(tree_.root.st_gid),
                "-d",
                options_.path,
                "/proc/self/fd/" + std::to_string(io_.fd())};
    }

    std::vector<std::string> environment() const {
        const char *path = std::getenv("PATH");
        std::vector<std::string> list = {
            std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin",
            "LC_ALL=C", "E2FSPROGS_FAKE_TIME=" + std::to_string(now_of(options_, tree_))};
        if (const char *config = std::getenv("MKE2FS_CONFIG")) {
            list.push_back(std::string("MKE2FS_CONFIG=") + config);
        }
        for (const std::string &variable : hidden_.environment()) {
            list.push_back(variable);
        }
        return list;
    }

    static std::vector<char *> pointers(std::vector<std::string> &strings) {
        std::vector<char *> list;
        list.reserve(strings.size() + 1);
        for (std::string &string : strings) {
            list.push_back(string.data());
        }
        list.push_back(nullptr);
        return list;
    }

    pid_t start(std::vector<std::string> &args) const {
        std::vector<std::string> env = environment();
        std::vector<char *> argv = pointers(args);
        std::vector<char *> envp = pointers(env);
        pid_t pid = fork();
        if (pid < 0) {
            throw io_error("mke2fs", "cannot be started", errno);
        }
        if (pid == 0) {
            int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            /* Its own group: an interrupt is ours to handle. */
            (void)setpgid(0, 0);
            if (dup2(null, STDIN_FILENO) >= 0 && dup2(said_.fd(), STDOUT_FILENO) >= 0 &&
                dup2(said_.fd(), STDERR_FILENO) >= 0 && fcntl(io_.fd(), F_SETFD, 0) == 0 &&
                hidden_.pass_on()) {
                environ = envp.data();
                execvp(argv[0], argv.data());
            }
            _exit(kCannotRun);
        }
        return pid;
    }

    int wait_for(pid_t pid) const {
        int status = 0;
        bool stopped = false;
        for (;;) {
            pid_t ended = waitpid(pid, &status, WNOHANG);
            if (ended < 0 && errno != EINTR) {
                throw io_error("mke2fs", "cannot be waited for", errno);
            }
            if (ended == pid) {
                break;
            }
            if (!stopped && options_.tree.cancelled != nullptr && *options_.tree.cancelled) {
                (void)kill(pid, SIGKILL);
                stopped = true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        if (stopped) {
            throw Error("interrupted", EINTR);
        }
        return status;
    }

    std::string said() const {
        std::string text(said_.size(), '\0');
        said_.read(text.data(), text.size(), 0);
        return text;
    }

    const FromDirOptions &options_;
    const Tree &tree_;
    const Plan &plan_;
    const HiddenNames hidden_;
    const Io &io_;
    const Io said_;
};

void set_size(const Io &io, u64 size) {
    if (ftruncate(io.fd(), 0) != 0 || ftruncate(io.fd(), static_cast<off_t>(size)) != 0) {
        throw io_error(io.name(), "cannot be given its size", errno);
    }
}

[[noreturn]] void too_small(const FromDirOptions &options, u64 bytes, const char *remedy) {
    throw Error(options.path + ": does not fit into a file system of " + exact_size(bytes) + "; " +
                remedy);
}

Plan first_plan(const FromDirOptions &options, const Tree &tree) {
    Plan plan = plan_for(tree, cw_div_up(options.free, kBlock));
    if (options.size != 0) {
        plan.blocks = options.size / kBlock;
        plan.inodes = inodes_for(tree, plan.blocks);
    }
    return plan;
}

}  // namespace

DirImage make_ext4(const FromDirOptions &options) {
    Tree tree = measure_tree(options.path, options.tree);
    Io io = open_scratch_file("the file system");
    Plan plan = first_plan(options, tree);
    for (int i = 0; i < kAttempts; i++) {
        set_size(io, plan.blocks * kBlock);
        if (Mke2fs(options, tree, plan, io).run()) {
            settle_ext4(io, tree.root, {tree.oldest, now_of(options, tree), options.date});
            return {std::move(io), tree.secret};
        }
        if (options.size != 0) {
            too_small(options, options.size, "give --size more, or leave it out");
        }
        plan.blocks += plan.blocks / 4;
    }
    too_small(options, plan.blocks * kBlock, "is it growing?");
}

}  // namespace cloopw
