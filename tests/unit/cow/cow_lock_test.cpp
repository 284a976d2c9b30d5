// SPDX-License-Identifier: GPL-2.0
/* One writer a COW file. */
#include "lib/cow/lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "lib/cow/chain.h"
#include "lib/cow/log_writer.h"
#include "lib/error.h"
#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

class CowLock : public testing::Test {
protected:
    CowLock() {
        LogCowConfig config;
        config.size = u64{1} << 20;
        config.uuid.fill(1);
        int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        write_log_cow(fd, path_, config);
        close(fd);
    }
    Io lock(bool writable) {
        Io io = Io::open(path_, writable ? Io::Mode::kReadWrite : Io::Mode::kRead);
        lock_cow(io.fd(), path_, writable);
        return io;
    }
    std::string refusal(bool writable) {
        try {
            lock(writable);
        } catch (const Error &e) {
            EXPECT_EQ(e.err(), EBUSY);
            return e.what();
        }
        return "";
    }
    void freeze() {
        const std::string image = dir_.write("image", Bytes(u64{1} << 20));
        LogCowConfig config;
        config.size = u64{1} << 20;
        config.uuid.fill(2);
        config.base_uuid.fill(3);
        config.over_layer = true;
        const std::string above = dir_ / "above.cow";
        int fd = open(above.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        write_log_cow(fd, above, config);
        close(fd);
        std::vector<Io> layers;
        layers.push_back(Io::open(path_, Io::Mode::kReadWrite));
        Device device(Io::open(image, Io::Mode::kRead), std::move(layers), {});
        device.snapshot(Io::open(above, Io::Mode::kReadWrite));
        device.close();
    }

    ScratchDir dir_;
    const std::string path_ = dir_ / "a.cow";
};

TEST_F(CowLock, AWriterHasItAlone) {
    Io writer = lock(true);
    for (bool writable : {false, true}) {
        EXPECT_EQ(refusal(writable), path_ +
                                         ": is in use by another program, such as nbdkit, mkcloopw "
                                         "or cloopwck; 'lsof' tells which, wait for it or end it");
    }
}

TEST_F(CowLock, ReadersShareItAndKeepWritersOut) {
    Io one = lock(false);
    Io two = lock(false);
    EXPECT_NE(refusal(true), "");
}

TEST_F(CowLock, ItEndsWithTheOpenFileAndNotBefore) {
    int kept = -1;
    {
        Io writer = lock(true);
        kept = dup(writer.fd()); /* the driver keeps it, too */
    }
    EXPECT_NE(refusal(false), "");
    close(kept);
    EXPECT_EQ(refusal(true), "");
}

/* A device that went on with a snapshot over the layer holds the lock. */
TEST_F(CowLock, AFrozenLayerIsReadWhoeverHasALockOnIt) {
    freeze();
    Io left = lock(true);
    EXPECT_EQ(refusal(false), "");
    EXPECT_NE(refusal(true), "");
}

/* Its maker took it back between the open and the lock. */
TEST_F(CowLock, OneThatWasRemovedIsNotWritten) {
    Io io = Io::open(path_, Io::Mode::kReadWrite);
    std::filesystem::remove(path_);
    try {
        lock_cow(io.fd(), path_, true);
        ADD_FAILURE() << "a file without a name is written";
    } catch (const Error &e) {
        EXPECT_EQ(e.what(), path_ + ": was removed or replaced meanwhile; try again");
    }
    lock_cow(io.fd(), path_, false);
}

TEST_F(CowLock, WhoIsAboutToEndIsWaitedFor) {
    auto writer = std::make_optional(lock(true));
    std::thread ends([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        writer.reset();
    });
    EXPECT_EQ(refusal(true), "");
    ends.join();
}

TEST_F(CowLock, WhatOthersUseIsNotTakenBack) {
    const Io made = Io::open(path_, Io::Mode::kReadWrite);
    auto user = std::make_optional(lock(false));
    EXPECT_FALSE(remove_unused(made.fd(), path_));
    user.reset();
    EXPECT_TRUE(remove_unused(made.fd(), path_));
    const std::string other = dir_.write("a.cow", Bytes(1));
    EXPECT_FALSE(remove_unused(made.fd(), other));
    EXPECT_TRUE(std::filesystem::exists(other));
}

TEST_F(CowLock, ChainsAreOpenedWithTheirLocks) {
    const std::vector<CowLayer> chain = find_cow_chain({path_});
    std::vector<Io> readers = open_cow_chain(chain, Io::Mode::kRead);
    EXPECT_NE(refusal(true), "");
    readers.clear();
    std::vector<Io> writers = open_cow_chain(chain, Io::Mode::kReadWrite);
    EXPECT_NE(refusal(false), "");
}

}  // namespace
}  // namespace cloopw::test
