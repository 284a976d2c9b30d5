// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory mkcloopw takes at most: a process of its own, so that the
 * kernel counts. It must not grow with the image: 4 blocks a thread, what the
 * codec takes in each (docs/man/mkcloopw.1), and 32 MiB.
 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "support/mkcloopw_tool.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;

class MkcloopwMemory : public Mkcloopw {
protected:
    /* A file with nothing but some noise in front, in the middle and in the end. */
    std::string sparse(u64 size, size_t noise) {
        std::string path = dir_ / "sparse";
        int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
        Bytes data = random_bytes(noise);
        for (u64 at : {u64{0}, size / 2, size - noise}) {
            EXPECT_EQ(pwrite(fd, data.data(), noise, static_cast<off_t>(at)),
                      static_cast<ssize_t>(noise));
        }
        close(fd);
        return path;
    }

    /* Bytes of memory at the most; expects success. */
    static u64 peak(const Args &args, int in_fd = -1) {
        std::vector<const char *> argv = {MKCLOOPW_PROGRAM, "-q"};
        for (const std::string &arg : args) {
            argv.push_back(arg.c_str());
        }
        argv.push_back(nullptr);
        pid_t pid = fork();
        if (pid == 0) {
            if (in_fd >= 0) {
                dup2(in_fd, STDIN_FILENO);
            }
            execv(argv[0], const_cast<char *const *>(argv.data()));
            _exit(127);
        }
        int status = 0;
        struct rusage usage = {};
        EXPECT_EQ(wait4(pid, &status, 0, &usage), pid);
        EXPECT_EQ(status, 0);
        return static_cast<u64>(usage.ru_maxrss) * 1024;
    }

    static u64 allowed(u64 threads, u64 block, u64 context) {
        return threads * (4 * block + context) + 32 * kMiB;
    }
};

struct Setting {
    const char *codec;
    std::string level;
    const char *block_size;
    u64 block;
    u64 context; /* the manual's figure */
};

class MkcloopwMemoryOf : public MkcloopwMemory, public testing::WithParamInterface<Setting> {};

/* The codecs that the manual names, and each other codec at its default level. */
std::vector<Setting> settings() {
    std::vector<Setting> all = {
        {"none", "0", "64K", 64 << 10, 0},          {"lz4", "1", "1M", kMiB, 16 << 10},
        {"lz4hc", "9", "64K", 64 << 10, 256 << 10}, {"lzo", "9", "1M", kMiB, 2 * kMiB},
        {"zlib", "9", "64K", 64 << 10, 2 * kMiB},   {"zstd", "9", "64K", 64 << 10, 2 * kMiB},
        {"zstd", "9", "1M", kMiB, 8 * kMiB},        {"zstd", "19", "1M", kMiB, 20 * kMiB},
        {"xz", "6", "1M", kMiB, 16 * kMiB}};
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        const cw_codec &codec = *cw_codecs[i];
        if (std::none_of(all.begin(), all.end(),
                         [&](const Setting &s) { return s.codec == std::string(codec.name); })) {
            all.push_back({codec.name, std::to_string(codec.default_level), "1M", kMiB, 40 * kMiB});
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, MkcloopwMemoryOf, testing::ValuesIn(settings()),
                         [](const auto &info) {
                             return std::string(info.param.codec) + "_" + info.param.level + "_" +
                                    info.param.block_size;
                         });

TEST_P(MkcloopwMemoryOf, StaysBelowWhatTheManualSays) {
    const Setting &s = GetParam();
    std::string in = sparse(4096 * kMiB, 2 * kMiB);
    for (u64 threads : {1, 4}) {
        u64 used = peak({"-f", "-c", s.codec, "-l", s.level, "-b", s.block_size, "-j",
                         std::to_string(threads), in, out_});
        EXPECT_LT(used, allowed(threads, s.block, s.context)) << threads;
    }
}

/* Facts about each block must not stay in memory. */
TEST_F(MkcloopwMemory, ManyBlocksOfCloop) {
    std::string in = sparse(1536 * kMiB, 100000);
    u64 limit = allowed(2, 512, 2 * kMiB);
    EXPECT_LT(peak({"-F", "cloop2", "-b", "512", "-l", "1", "-j", "2", in, out_}), limit);
    int fd = open(in.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_LT(peak({"-F", "cloop2", "-b", "512", "-l", "1", "-j", "2", "-", dir_ / "piped"}, fd),
              limit);
    close(fd);
    EXPECT_EQ(read_bytes(dir_ / "piped"), read_bytes(out_));
}

/* An order that names every block, the last one first. */
TEST_F(MkcloopwMemory, ManyBlocksInAnotherOrder) {
    constexpr u64 kBlocks = 1 << 19;
    std::string in = sparse(kBlocks * 4096, 100000);
    {
        std::ofstream list(dir_ / "list");
        for (u64 n = kBlocks; n-- != 0;) {
            list << n << "\n";
        }
    }
    EXPECT_LT(peak({"-c", "lz4", "-b", "4K", "-j", "2", "--order", dir_ / "list", in, out_}),
              allowed(2, 4096, 16 << 10));
    EXPECT_EQ(::remove((dir_ / "list").c_str()), 0);
    expect_success({"-c", "lz4", "-b", "4K", "-q", in, dir_ / "plain"});
    /* The same blocks and index pages, elsewhere. */
    EXPECT_EQ(read_bytes(dir_ / "plain").size(), read_bytes(out_).size());
}

}  // namespace
}  // namespace cloopw::test
