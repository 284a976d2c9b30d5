// SPDX-License-Identifier: GPL-2.0
/* Resets: the top layer throws its content away. */
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/core_log_support.h"
#include "support/images.h"
#include "support/test_io.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kSize = 16 * kMiB;

class CoreReset : public testing::Test {
protected:
    CoreReset() {
        base_.put(0, base_bytes_);
        make_log(&cow_, log_config(kSize));
    }

    /* 0 or -errno; why_ has the reason. */
    int reset(const LogDevice &device) {
        cw_report report = {};
        const int err = cw_device_reset(device.get(), &report);
        why_ = report.text;
        code_ = report.code;
        return err;
    }
    /* All of the device after another attach. */
    Bytes attached(SparseIo *cow) {
        const LogDevice device(base_.get(), {cow->get()});
        EXPECT_EQ(device.err(), 0) << device.why();
        return device.read(0, kSize);
    }

    const Bytes base_bytes_ = random_bytes(kSize, 2);
    const Bytes changed_ = random_bytes(kSize, 1);
    SparseIo base_{"base.img", kSize};
    SparseIo cow_{"top.cow"};
    std::string why_;
    u32 code_ = 0;
};

TEST_F(CoreReset, TheDeviceShowsTheBase) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(device.write(0, changed_), 0);
        ASSERT_EQ(device.zero(kMiB, kMiB), 0);
        ASSERT_EQ(reset(device), 0) << why_;
        EXPECT_EQ(device.read(0, kSize), base_bytes_);
        EXPECT_EQ(device.stat().plain_bytes, 0u);
        EXPECT_EQ(device.stat().live_bytes, 0u);
    }
    EXPECT_EQ(attached(&cow_), base_bytes_);
}

TEST_F(CoreReset, LaterWritesAreKept) {
    Model model(base_bytes_);
    std::mt19937 random(7);
    {
        const LogDevice device(base_.get(), {cow_.get()});
        for (u32 i = 0; i < 5; i++) {
            ASSERT_EQ(device.write(0, changed_), 0);
            ASSERT_EQ(reset(device), 0) << why_;
            model = Model(base_bytes_);
            for (u32 j = 0; j < 50; j++) {
                const u64 off = random() % (kSize - kMiB);
                const Bytes data = mixed_bytes(&random, 1 + random() % 200000);
                ASSERT_EQ(device.write(off, data), 0);
                model.write(off, data);
            }
            EXPECT_EQ(device.read(0, kSize), model.bytes());
        }
    }
    EXPECT_EQ(attached(&cow_), model.bytes());
}

TEST_F(CoreReset, TheSpaceIsGivenBack) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.write(0, changed_), 0);
    ASSERT_GT(cow_.used(), kSize);
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_LE(cow_.used(), u64{64} << 10);
}

/* The writer begins during the first punch, and has written before the last one. */
TEST_F(CoreReset, WritersDoNotWaitForTheSpace) {
    constexpr u64 kLong = 128 * kMiB;
    SparseIo base("base.img", kLong);
    SparseIo cow("top.cow");
    make_log(&cow, log_config(kLong));
    const LogDevice device(base.get(), {cow.get()});
    for (u64 off = 0; off < kLong; off += kSize) {
        ASSERT_EQ(device.write(off, changed_), 0);
    }
    std::thread writer;
    std::atomic<bool> done = false;
    std::atomic<bool> was_done = false;
    u64 known = cow.punches;
    cow.before_punch = [&] {
        if (!writer.joinable()) {
            known = cow.punches;
            writer = std::thread([&] { done = device.write(0, base_bytes_) == 0; });
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        was_done = done.load();
        return 0;
    };
    ASSERT_EQ(reset(device), 0) << why_;
    cow.before_punch = nullptr;
    ASSERT_TRUE(writer.joinable());
    writer.join();
    EXPECT_GT(cow.punches - known, 4u);
    EXPECT_TRUE(was_done);
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
    EXPECT_EQ(device.read(kSize, kSize), Bytes(kSize));
    EXPECT_LE(cow.used(), kLong / 2);
}

TEST_F(CoreReset, AFullLogCanBeReset) {
    cow_.set_max(10 * kMiB);
    const LogDevice device(base_.get(), {cow_.get()});
    EXPECT_EQ(device.write(0, changed_), -ENOSPC);
    ASSERT_EQ(device.space().state, CW_COW_FULL);
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_EQ(device.space().state, CW_COW_OK);
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
    EXPECT_EQ(device.write(0, Bytes(changed_.begin(), changed_.begin() + kMiB)), 0);
}

/* A log that was killed full cannot even begin again. */
TEST_F(CoreReset, AFullLogCanBeResetAfterAnAttach) {
    SparseIo killed("top.cow");
    {
        cow_.set_max(10 * kMiB);
        const LogDevice device(base_.get(), {cow_.get()});
        EXPECT_EQ(device.write(0, changed_), -ENOSPC);
        ASSERT_EQ(device.flush(), 0);
        killed.copy_from(&cow_);
    }
    killed.set_max(killed.used());
    const LogDevice device(base_.get(), {killed.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
    EXPECT_EQ(device.write(0, Bytes(changed_.begin(), changed_.begin() + kMiB)), 0);
}

/* After each call that changes the file, the machine may stop. */
TEST_F(CoreReset, ACutLeavesAllOrNothing) {
    const Bytes data(changed_.begin(), changed_.begin() + 2 * kMiB);
    u32 old = 0;
    u32 fresh = 0;
    for (u32 cut = 0; old + fresh == cut; cut++) {
        SparseIo cow("top.cow");
        SparseIo crashed("top.cow");
        make_log(&cow, log_config(kSize));
        Bytes all = base_bytes_;
        std::copy(data.begin(), data.end(), all.begin());
        bool done = false;
        {
            const LogDevice device(base_.get(), {cow.get()});
            ASSERT_EQ(device.write(0, data), 0);
            ASSERT_EQ(device.flush(), 0);
            u32 calls = 0;
            cow.before_change = [&] {
                if (calls++ == cut) {
                    crashed.copy_from(&cow);
                    done = true;
                }
                return 0;
            };
            ASSERT_EQ(reset(device), 0) << why_;
            cow.before_change = nullptr;
        }
        if (!done) {
            break;
        }
        const Bytes found = attached(&crashed);
        ASSERT_TRUE(found == all || found == base_bytes_) << "cut " << cut;
        old += found == all ? 1 : 0;
        fresh += found == base_bytes_ ? 1 : 0;
        EXPECT_TRUE(fresh == 0 || found == base_bytes_) << "old content came back at " << cut;
    }
    EXPECT_GT(old, 0u);
    EXPECT_GT(fresh, 0u);
}

TEST_F(CoreReset, AFailedSuperblockLeavesTheContent) {
    for (const u32 failing : {0u, 1u}) {
        SparseIo cow("top.cow");
        make_log(&cow, log_config(kSize));
        {
            const LogDevice device(base_.get(), {cow.get()});
            ASSERT_EQ(device.write(0, changed_), 0);
            ASSERT_EQ(device.flush(), 0);
            u32 writes = 0;
            cow.before_write = [&](u64 off, size_t) {
                return off < CW_LOG_START && writes++ == failing ? -EIO : 0;
            };
            EXPECT_EQ(reset(device), -EIO);
            EXPECT_EQ(why_, "top.cow: cannot be reset (Input/output error)");
            EXPECT_EQ(code_, CLOOPW_R_RESET_FAILED);
            cow.before_write = nullptr;
            EXPECT_EQ(device.read(0, kSize), changed_);
            EXPECT_EQ(device.space().state, CW_COW_OK);
            EXPECT_EQ(device.write(0, base_bytes_), 0);
            EXPECT_EQ(device.write(0, changed_), 0);
        }
        EXPECT_EQ(attached(&cow), changed_);
    }
}

/* Nobody knows which superblock counts, so no record may come behind one of them. */
TEST_F(CoreReset, TheLogEndsWhenTheStateIsNotKnown) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.write(0, changed_), 0);
    ASSERT_EQ(device.flush(), 0);
    cow_.before_write = [](u64 off, size_t) { return off < CW_LOG_START ? -EIO : 0; };
    EXPECT_EQ(reset(device), -EIO);
    cow_.before_write = nullptr;
    EXPECT_EQ(device.space().state, CW_COW_FAILED);
    EXPECT_EQ(device.write(0, base_bytes_), -EIO);
    EXPECT_EQ(device.read(0, kSize), changed_);
}

TEST_F(CoreReset, AFailedFlushEndsTheLog) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.write(0, changed_), 0);
    ASSERT_EQ(device.flush(), 0);
    cow_.before_flush = [] { return -EIO; };
    EXPECT_EQ(reset(device), -EIO);
    cow_.before_flush = nullptr;
    EXPECT_EQ(device.write(0, base_bytes_), -EIO);
    EXPECT_EQ(reset(device), -EIO);
    EXPECT_EQ(device.read(0, kSize), changed_);
}

TEST_F(CoreReset, ALogWithAHoleCanBeReset) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.write(0, changed_), 0);
    cow_.before_write = [](u64, size_t) { return -EIO; };
    EXPECT_NE(device.write(0, base_bytes_), 0);
    cow_.before_write = nullptr;
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
    ASSERT_EQ(device.write(0, changed_), 0);
    EXPECT_EQ(device.read(0, kSize), changed_);
}

/* A segment stays until a reader that looked it up before has read it. */
TEST_F(CoreReset, ReadersGoOn) {
    const LogDevice device(base_.get(), {cow_.get()});
    std::atomic<bool> stop = false;
    std::atomic<u32> strange = 0;
    auto look = [&](u64 seed) {
        std::mt19937_64 random(seed);
        while (!stop) {
            const u64 off = random() % (kSize / 4096) * 4096;
            const Bytes found = device.read(off, 4096);
            strange += found != slice(changed_, off, 4096) && found != slice(base_bytes_, off, 4096)
                           ? 1
                           : 0;
        }
    };
    std::thread one(look, 1);
    std::thread two(look, 2);
    for (u32 i = 0; i < 10; i++) {
        EXPECT_EQ(device.write(0, changed_), 0);
        EXPECT_EQ(reset(device), 0) << why_;
    }
    stop = true;
    one.join();
    two.join();
    EXPECT_EQ(strange, 0u);
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
}

/* A write is before or after a reset as a whole, and those after the last one are kept. */
TEST_F(CoreReset, WritersGoOn) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        std::atomic<bool> stop = false;
        std::atomic<u32> failed = 0;
        auto work = [&](u64 part) {
            std::mt19937_64 random(part);
            while (!stop) {
                const u64 off = part * kSize / 2 + random() % (kSize / 2 / 65536) * 65536;
                failed += device.write(off, slice(changed_, off, 65536)) != 0 ? 1 : 0;
                failed += random() % 16 == 0 && device.flush() != 0 ? 1 : 0;
            }
        };
        std::thread one(work, 0);
        std::thread two(work, 1);
        for (u32 i = 0; i < 50; i++) {
            EXPECT_EQ(reset(device), 0) << why_;
        }
        stop = true;
        one.join();
        two.join();
        EXPECT_EQ(failed, 0u);
    }
    const Bytes found = attached(&cow_);
    for (u64 off = 0; off < kSize; off += 65536) {
        const Bytes part = slice(found, off, 65536);
        ASSERT_TRUE(part == slice(changed_, off, 65536) || part == slice(base_bytes_, off, 65536))
            << off;
    }
}

TEST_F(CoreReset, TheLayerBelowStays) {
    SparseIo lower("lower.cow");
    LogCowConfig config = log_config(kSize);
    make_log(&lower, config);
    config.over_layer = true;
    config.uuid.fill(9);
    config.base_uuid.fill(7);
    make_log(&cow_, config);
    const LogDevice device(base_.get(), {lower.get()});
    ASSERT_EQ(device.write(0, changed_), 0);
    ASSERT_EQ(cw_device_snapshot(device.get(), cow_.get(), nullptr), 0);
    ASSERT_EQ(device.write(0, Bytes(kSize)), 0);
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_EQ(device.read(0, kSize), changed_);
}

TEST_F(CoreReset, AGrownDeviceKeepsItsSize) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(cw_device_resize(device.get(), 2 * kSize, nullptr), 0);
        ASSERT_EQ(device.write(kSize, changed_), 0);
        ASSERT_EQ(reset(device), 0) << why_;
        EXPECT_EQ(device.read(kSize, kSize), Bytes(kSize));
    }
    const LogDevice device(base_.get(), {cow_.get()});
    EXPECT_EQ(device.read(kSize, kSize), Bytes(kSize));
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
}

TEST_F(CoreReset, ANewLogHasNothingToForget) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(reset(device), 0) << why_;
    ASSERT_EQ(reset(device), 0) << why_;
    EXPECT_EQ(device.read(0, kSize), base_bytes_);
}

TEST_F(CoreReset, OthersAreRefusedWithTheReason) {
    const LogDevice without(base_.get(), {});
    EXPECT_EQ(reset(without), -EROFS);
    EXPECT_EQ(why_, "the device is read-only, so it has no changes to throw away");
    EXPECT_EQ(code_, CLOOPW_R_READ_ONLY);
    const LogDevice reading(base_.get(), {cow_.get()}, true);
    EXPECT_EQ(reset(reading), -EROFS);

    UmlSpec spec;
    spec.size = kSize;
    TestIo uml("changes.uml", uml_cow(spec));
    const LogDevice device(base_.get(), {uml.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(reset(device), -EOPNOTSUPP);
    EXPECT_EQ(why_, "changes.uml: a COW file of format uml cannot be reset");
    EXPECT_EQ(code_, CLOOPW_R_NOT_RESETTABLE);
}

}  // namespace
}  // namespace cloopw::test
