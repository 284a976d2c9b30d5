// SPDX-License-Identifier: GPL-2.0
/* Opening files, and nothing else. */
#include "lib/open_data.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "lib/fd.h"
#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

class OpenData : public testing::Test {
protected:
    static int error_of(const std::string &path, int flags = O_RDONLY) {
        errno = 0;
        const Fd fd(open_data(path, flags));
        return fd.get() < 0 ? errno : 0;
    }
    std::string socket_at(const std::string &path) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        socket_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
        return path;
    }

    ScratchDir dir_;
    const std::string file_ = dir_.write("file", Bytes(1));
    const std::string fifo_ = dir_ / "fifo";
    Fd socket_;
};

TEST_F(OpenData, FilesAlone) {
    ASSERT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    EXPECT_EQ(error_of(file_), 0);
    EXPECT_EQ(error_of(file_, O_RDWR), 0);
    EXPECT_EQ(error_of(fifo_), EINVAL);
    EXPECT_EQ(error_of(fifo_, O_RDWR), EINVAL);
    EXPECT_EQ(error_of("/dev/null"), EINVAL);
    EXPECT_EQ(error_of(socket_at(dir_ / "socket")), EINVAL);
    EXPECT_EQ(error_of(dir_ / "."), EISDIR);
    EXPECT_EQ(error_of(dir_ / "missing"), ENOENT);
}

TEST_F(OpenData, LinksAreFollowedOrNot) {
    fs::create_symlink(file_, dir_ / "link");
    EXPECT_EQ(error_of(dir_ / "link"), 0);
    EXPECT_EQ(error_of(dir_ / "link", O_NOFOLLOW), EINVAL);
    EXPECT_EQ(error_of(file_, O_NOFOLLOW), 0);
}

TEST_F(OpenData, AProgramThatIsStartedDoesNotGetIt) {
    const Fd fd(open_data(file_, O_RDONLY));
    EXPECT_EQ(fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
}

/* An open of the FIFO would wait for ever. */
TEST_F(OpenData, WhateverGetsTheNameMeanwhile) {
    ASSERT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    std::atomic<bool> done = false;
    std::thread swaps([&] {
        while (!done) {
            (void)renameat2(AT_FDCWD, file_.c_str(), AT_FDCWD, fifo_.c_str(), RENAME_EXCHANGE);
        }
    });
    constexpr int kTries = 20000;
    for (int i = 0; i < kTries; i++) {
        const int err = error_of(file_);
        EXPECT_TRUE(err == 0 || err == EINVAL) << err;
    }
    done = true;
    swaps.join();
}

}  // namespace
}  // namespace cloopw::test
