// SPDX-License-Identifier: GPL-2.0
#include "lib/port/posix_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "lib/cloopw.h"
#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

constexpr u64 kTooFar = u64{1} << 63;

struct Reader {
    int err;
    Bytes bytes;
};

Reader read_at(const Io &io, u64 off, size_t len) {
    Bytes bytes(len);
    int err = cw_pread(&io.get(), bytes.data(), len, off);
    return {err, bytes};
}

class PosixIo : public testing::Test {
protected:
    ScratchDir dir_;
    Bytes content_ = random_bytes(20000);
    std::string path_ = dir_.write("file", content_);
};

TEST_F(PosixIo, ReadsWhatIsInTheFile) {
    Io io = Io::open(path_, Io::Mode::kRead);
    EXPECT_EQ(io.size(), 20000u);
    EXPECT_STREQ(io.name(), path_.c_str());
    EXPECT_EQ(read_at(io, 0, 20000).bytes, content_);
    EXPECT_EQ(read_at(io, 12345, 678).bytes, slice(content_, 12345, 678));
    EXPECT_EQ(read_at(io, 20000, 0).err, 0);
}

/* On a file system with direct I/O, and on one without. */
TEST_F(PosixIo, ReadsPastThePageCache) {
    const int memory = memfd_create("memory", MFD_CLOEXEC);
    ASSERT_EQ(write(memory, content_.data(), content_.size()),
              static_cast<ssize_t>(content_.size()));
    Io ios[] = {Io::open(path_, Io::Mode::kRead, 5000, 14000), Io::adopt(memory, "memory", 5000)};
    for (Io &io : ios) {
        EXPECT_EQ(cw_fd_io_direct_mode(&io.get()), CW_DIRECT_OFF);
        ASSERT_EQ(cw_fd_io_set_direct(&io.get(), true), 0);
        EXPECT_NE(cw_fd_io_direct_mode(&io.get()), CW_DIRECT_OFF);
        for (const u64 off : {0, 1, 4095, 4096, 8191, 13999}) {
            EXPECT_EQ(read_at(io, off, 14000 - off).bytes, slice(content_, 5000 + off, 14000 - off))
                << off;
        }
        EXPECT_EQ(read_at(io, 20000, 1).err, -EIO);
        ASSERT_EQ(cw_fd_io_set_direct(&io.get(), false), 0);
        EXPECT_EQ(cw_fd_io_direct_mode(&io.get()), CW_DIRECT_OFF);
        EXPECT_EQ(read_at(io, 0, 100).bytes, slice(content_, 5000, 100));
    }
    EXPECT_EQ(cw_fd_io_set_direct(&Io::memory("none", content_, content_.size()).get(), true),
              -EOPNOTSUPP);
}

/* More than a buffer at once, by more threads than there are buffers. */
TEST_F(PosixIo, ManyReadPastThePageCache) {
    constexpr size_t kLong = 700000;
    const Bytes content = random_bytes(kLong);
    const Io io = Io::open(dir_.write("long", content), Io::Mode::kRead);
    ASSERT_EQ(cw_fd_io_set_direct(&io.get(), true), 0);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 24; i++) {
        threads.emplace_back([&, i] {
            for (size_t off = i; off < kLong / 2; off += 50000) {
                EXPECT_EQ(read_at(io, off, kLong - off).bytes, slice(content, off, kLong - off));
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
}

TEST_F(PosixIo, KnowsTheModificationTime) {
    struct stat st = {};
    ASSERT_EQ(stat(path_.c_str(), &st), 0);
    EXPECT_EQ(Io::open(path_, Io::Mode::kRead).get().mtime, st.st_mtime);
}

TEST_F(PosixIo, ReadBehindTheEndFails) {
    Io io = Io::open(path_, Io::Mode::kRead);
    EXPECT_EQ(read_at(io, 20000, 1).err, -EIO);
    EXPECT_EQ(read_at(io, 19999, 2).err, -EIO);
    EXPECT_EQ(read_at(io, kTooFar, 1).err, -EIO);
    EXPECT_EQ(read_at(io, UINT64_MAX, 2).err, -EIO);
}

TEST_F(PosixIo, HintsChangeNothing) {
    Io io = Io::open(path_, Io::Mode::kRead, 100, 10000);
    cw_fd_io_expect_random(&io.get());
    cw_will_read(&io.get(), 0, 10000);
    cw_will_read(&io.get(), 0, 10001);
    cw_will_read(&io.get(), UINT64_MAX, 2);
    EXPECT_EQ(read_at(io, 0, 10000).bytes, slice(content_, 100, 10000));
    const Io memory = Io::memory("memory");
    cw_fd_io_expect_random(&memory.get());
}

TEST_F(PosixIo, WriteExtends) {
    Io io = Io::open(path_, Io::Mode::kReadWrite);
    Bytes more = random_bytes(5000, 2);
    io.write(more.data(), more.size(), 30000);
    io.flush();
    EXPECT_EQ(io.size(), 35000u);
    EXPECT_EQ(read_at(io, 30000, 5000).bytes, more);
    EXPECT_EQ(read_at(io, 20000, 10000).bytes, Bytes(10000, 0));
    EXPECT_EQ(read_at(io, 0, 20000).bytes, content_);
}

TEST_F(PosixIo, WriteToAReadOnlyFileFails) {
    Io io = Io::open(path_, Io::Mode::kRead);
    EXPECT_EQ(cw_pwrite(&io.get(), "x", 1, 0), -EBADF);
}

TEST_F(PosixIo, WindowHidesTheRest) {
    Io io = Io::open(path_, Io::Mode::kReadWrite, 1000, 500);
    EXPECT_EQ(io.size(), 500u);
    EXPECT_EQ(read_at(io, 0, 500).bytes, slice(content_, 1000, 500));
    EXPECT_EQ(read_at(io, 400, 101).err, -EIO);
    EXPECT_EQ(cw_pwrite(&io.get(), "xyz", 3, 498), -ENOSPC);
    EXPECT_EQ(cw_pwrite(&io.get(), "xyz", 3, 497), 0);
    EXPECT_EQ(cw_punch(&io.get(), 400, 101), -EINVAL);

    Bytes now = read_bytes(path_);
    EXPECT_EQ(slice(now, 0, 1497), slice(content_, 0, 1497));
    EXPECT_EQ(slice(now, 1497, 3), (Bytes{'x', 'y', 'z'}));
    EXPECT_EQ(slice(now, 1500, 18500), slice(content_, 1500, 18500));
}

TEST_F(PosixIo, WindowWithoutLimitReachesToTheEnd) {
    Io io = Io::open(path_, Io::Mode::kRead, 15000);
    EXPECT_EQ(io.size(), 5000u);
    EXPECT_EQ(read_at(io, 0, 5000).bytes, slice(content_, 15000, 5000));
}

TEST_F(PosixIo, WindowBehindTheEndIsEmpty) {
    EXPECT_EQ(Io::open(path_, Io::Mode::kRead, 20001).size(), 0u);
    EXPECT_EQ(Io::open(path_, Io::Mode::kRead, 19999, 100).size(), 1u);
    EXPECT_EQ(read_at(Io::open(path_, Io::Mode::kRead, UINT64_MAX), 1, 1).err, -EIO);
}

TEST_F(PosixIo, PunchGivesSpaceBackAndKeepsTheSize) {
    std::string path = dir_.write("large", random_bytes(1 << 20));
    Io io = Io::open(path, Io::Mode::kReadWrite);
    struct stat before = {};
    ASSERT_EQ(stat(path.c_str(), &before), 0);
    int err = cw_punch(&io.get(), 65536, 1 << 19);
    EXPECT_EQ(io.size(), u64{1} << 20);
    if (err == -EOPNOTSUPP) {
        return; /* this file system cannot, which is an answer */
    }
    EXPECT_EQ(err, 0);
    struct stat after = {};
    ASSERT_EQ(stat(path.c_str(), &after), 0);
    EXPECT_LT(after.st_blocks, before.st_blocks);
    EXPECT_EQ(read_at(io, 65536, 1 << 19).bytes, Bytes(1 << 19, 0));
    EXPECT_EQ(cw_punch(&io.get(), 0, 0), 0);
}

TEST_F(PosixIo, RefusesWhatIsNoFile) {
    std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    int fd = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
    struct cw_fd_io_config config = {fd, "fifo", 0, 0, false};
    struct cw_io *io = nullptr;
    EXPECT_EQ(cw_fd_io_create(&config, &io), -EINVAL);
    EXPECT_EQ(io, nullptr);
    EXPECT_EQ(close(fd), 0) << "the descriptor stays the caller's";

    config.fd = open(dir_.path().c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(cw_fd_io_create(&config, &io), -EISDIR);
    EXPECT_EQ(close(config.fd), 0);
}

TEST_F(PosixIo, ClosesItsDescriptor) {
    int fd = -1;
    {
        Io io = Io::open(path_, Io::Mode::kRead);
        fd = io.fd();
        EXPECT_GE(fcntl(fd, F_GETFD), 0);
    }
    EXPECT_EQ(fcntl(fd, F_GETFD), -1);
    cw_io_destroy(nullptr);
}

TEST_F(PosixIo, ErrorsNameTheFileAndTheReason) {
    try {
        Io::open(dir_ / "missing", Io::Mode::kRead);
        FAIL() << "opened what is not there";
    } catch (const Error &e) {
        EXPECT_EQ(e.err(), ENOENT);
        EXPECT_EQ(std::string(e.what()),
                  dir_ / "missing" + ": cannot be opened: No such file or directory");
    }
}

/* A process of its own, as the limit is for all of it. */
int with_file_limit(rlim_t bytes, const std::function<bool()> &holds) {
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {bytes, RLIM_INFINITY};
        (void)std::signal(SIGXFSZ, SIG_IGN);
        _exit(setrlimit(RLIMIT_FSIZE, &limit) == 0 && holds() ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

TEST_F(PosixIo, ALimitOfFilesIsAsAFullDisk) {
    Io io = Io::open(path_, Io::Mode::kReadWrite);
    EXPECT_EQ(with_file_limit(30000, [&] { return cw_pwrite(&io.get(), "x", 1, 29999) == 0; }), 0);
    EXPECT_EQ(with_file_limit(30000, [&] { return cw_pwrite(&io.get(), "x", 1, 30000) == -EFBIG; }),
              0);
    EXPECT_EQ(
        with_file_limit(30000, [&] { return cw_cow_pwrite(&io.get(), "x", 1, 30000) == -ENOSPC; }),
        0);
    EXPECT_EQ(
        with_file_limit(30000, [&] { return cw_allocate(&io.get(), 29000, 2000) == -ENOSPC; }), 0);
    EXPECT_EQ(with_file_limit(30000, [&] { return cw_capacity(&io.get()) == 30000; }), 0);
}

/* The file system's own limit is found without writing a byte. */
TEST_F(PosixIo, ItsCapacityLeavesTheFileAsItIs) {
    Io io = Io::open(path_, Io::Mode::kReadWrite);
    EXPECT_NE(cw_capacity(&io.get()), CW_CAPACITY_UNKNOWN);
    EXPECT_EQ(io.size(), 20000U);
    EXPECT_EQ(lseek(io.fd(), 0, SEEK_CUR), 0);
}

TEST(MemIo, BehavesLikeAFile) {
    Io io = Io::memory("memory", {1, 2, 3});
    EXPECT_EQ(io.size(), 3u);
    EXPECT_EQ(io.fd(), -1);
    EXPECT_EQ(read_at(io, 1, 2).bytes, (Bytes{2, 3}));
    EXPECT_EQ(read_at(io, 2, 2).err, -EIO);
    io.write("x", 1, 10000);
    EXPECT_EQ(io.size(), 10001u);
    EXPECT_EQ(read_at(io, 0, 5).bytes, (Bytes{1, 2, 3, 0, 0}));
    EXPECT_EQ(cw_punch(&io.get(), 1, 1), 0);
    EXPECT_EQ(read_at(io, 0, 3).bytes, (Bytes{1, 0, 3}));
    EXPECT_EQ(cw_punch(&io.get(), 9999, 1 << 20), 0);
    EXPECT_EQ(io.size(), 10001u);
}

TEST(MemIo, FullIsNoSpace) {
    Io io = Io::memory("memory", {}, 100);
    EXPECT_EQ(cw_pwrite(&io.get(), "xy", 2, 99), -ENOSPC);
    EXPECT_EQ(io.size(), 0u);
    EXPECT_EQ(cw_pwrite(&io.get(), "xy", 2, 98), 0);
    EXPECT_EQ(cw_pwrite(&io.get(), "xy", 2, UINT64_MAX), -ENOSPC);
}

TEST(MemIo, ManyThreads) {
    Io io = Io::memory("memory");
    std::vector<std::jthread> threads;
    for (u8 t = 0; t < 4; t++) {
        threads.emplace_back([&io, t] {
            Bytes mine(100, t);
            for (u64 i = 0; i < 200; i++) {
                u64 off = (i * 4 + t) * mine.size();
                EXPECT_EQ(cw_pwrite(&io.get(), mine.data(), mine.size(), off), 0);
                EXPECT_EQ(read_at(io, off, mine.size()).bytes, mine);
            }
        });
    }
}

}  // namespace
}  // namespace cloopw::test
