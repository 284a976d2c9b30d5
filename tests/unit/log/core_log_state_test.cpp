// SPDX-License-Identifier: GPL-2.0
/* How a COW log says that it does: states, what is available, the limit. */
#include <gtest/gtest.h>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;

class CoreLogState : public testing::Test {
protected:
    CoreLogState() : base_("base", 64 * kMiB), cow_("cow") {}

    void open(u64 limit = 0, bool read_only = false) {
        if (cow_.size() == 0) {
            LogCowConfig config = log_config(base_.size(), "none");
            config.limit = limit;
            make_log(&cow_, config);
        }
        device_ = nullptr;
        device_ =
            std::make_unique<LogDevice>(base_.get(), std::vector<cw_io *>{cow_.get()}, read_only);
        ASSERT_EQ(device_->err(), 0) << device_->why();
    }
    /* Until it is full; returns how many MiB there was room for. */
    u64 fill() {
        for (u64 i = 0; i < base_.size() / kMiB; i++) {
            if (const int err = device_->write(i * kMiB, random_bytes(kMiB, i)); err != 0) {
                EXPECT_EQ(err, -ENOSPC);
                return i;
            }
        }
        return base_.size() / kMiB;
    }
    cw_cow_state state() const { return device_->space().state; }
    int set_limit(u64 bytes) { return cw_device_set_limit(device_->get(), bytes); }
    void tend() { cw_device_tend(device_->get()); }

    SparseIo base_;
    SparseIo cow_;
    std::unique_ptr<LogDevice> device_;
};

TEST_F(CoreLogState, IsOkThenFullThenOkWhenSomethingIsGivenBack) {
    cow_.set_max(20 * kMiB);
    open();
    EXPECT_EQ(state(), CW_COW_OK);
    const u64 room = fill();
    EXPECT_GE(room, 10u);
    EXPECT_EQ(state(), CW_COW_FULL);
    EXPECT_EQ(device_->available(), 0u);
    ASSERT_EQ(device_->discard(0, 8 * kMiB), 0);
    EXPECT_EQ(state(), CW_COW_OK);
    EXPECT_GE(device_->available(), 6 * kMiB);
    EXPECT_EQ(device_->write(0, random_bytes(4 * kMiB)), 0);
    EXPECT_EQ(device_->read(9 * kMiB, kMiB), random_bytes(kMiB, 9));
}

/* Nobody writes; it is to be told all the same. */
TEST_F(CoreLogState, NoticesThatOthersMadeRoom) {
    cow_.set_max(20 * kMiB);
    open();
    fill();
    tend();
    EXPECT_EQ(state(), CW_COW_FULL);
    const u64 writes = cow_.writes;
    tend();
    EXPECT_EQ(cow_.writes, writes) << "a full file is left in peace";
    cow_.set_max(40 * kMiB);
    tend();
    EXPECT_EQ(state(), CW_COW_OK);
    EXPECT_EQ(device_->write(0, random_bytes(kMiB)), 0);
}

TEST_F(CoreLogState, NoticesRoomWhenItWasFullAlreadyAtTheAttach) {
    cow_.set_max(kMiB);
    open();
    EXPECT_EQ(state(), CW_COW_FULL);
    cow_.set_max(40 * kMiB);
    tend();
    EXPECT_EQ(state(), CW_COW_OK);
    EXPECT_EQ(device_->write(0, random_bytes(kMiB)), 0);
}

TEST_F(CoreLogState, AvailableGoesDownAsItIsWritten) {
    open();
    EXPECT_EQ(device_->available(), CW_CAPACITY_UNKNOWN);
    cow_.set_max(60 * kMiB);
    const u64 before = device_->available();
    EXPECT_GE(before, 50 * kMiB);
    EXPECT_LE(before, 60 * kMiB);
    ASSERT_EQ(device_->write(0, random_bytes(20 * kMiB)), 0);
    EXPECT_LE(device_->available(), before - 20 * kMiB);
    EXPECT_GE(device_->available(), before - 22 * kMiB);
}

TEST_F(CoreLogState, AFlushThatFailsIsShown) {
    open();
    cow_.before_flush = [] { return -EIO; };
    EXPECT_EQ(device_->flush(), -EIO);
    cow_.before_flush = nullptr;
    EXPECT_EQ(state(), CW_COW_FAILED);
    tend();
    EXPECT_EQ(state(), CW_COW_FAILED);
}

/* Unlike after a failed flush, the failed data was never acknowledged. */
TEST_F(CoreLogState, WritesThatFailAreShownUntilOneSucceeds) {
    open();
    cow_.before_write = [](u64, size_t) { return -EIO; };
    EXPECT_EQ(device_->write(0, Bytes(4096, 'x')), -EIO);
    EXPECT_EQ(device_->write(0, Bytes(4096, 'x')), -EIO);
    EXPECT_EQ(state(), CW_COW_FAILED);
    cow_.before_write = nullptr;
    EXPECT_EQ(device_->write(0, Bytes(4096, 'x')), 0);
    EXPECT_EQ(state(), CW_COW_OK);
}

TEST_F(CoreLogState, ReadOnlyIsShown) {
    open();
    open(0, true);
    EXPECT_EQ(state(), CW_COW_READ_ONLY);
    EXPECT_EQ(set_limit(40 * kMiB), -EROFS);
    tend();
    const cw_device_config config = {
        .base = base_.get(),
        .format = nullptr,
        .layers = nullptr,
        .nr_layers = 0,
        .read_only = false,
        .record = false,
        .cache_bytes = 0,
        .cache_budget = nullptr,
    };
    cw_device *plain = nullptr;
    ASSERT_EQ(cw_device_open(&config, &plain, nullptr), 0);
    cw_cow_space space;
    cw_device_get_space(plain, &space);
    EXPECT_EQ(space.state, CW_COW_READ_ONLY);
    EXPECT_EQ(cw_device_capacity(plain), CW_CAPACITY_UNKNOWN);
    cw_device_tend(plain);
    EXPECT_EQ(cw_device_close(plain), 0);
}

/* ---- the limit ---- */

TEST_F(CoreLogState, TheLimitHolds) {
    open(16 * kMiB);
    EXPECT_EQ(device_->space().limit, 16 * kMiB);
    EXPECT_LE(fill(), 16u);
    EXPECT_LE(cow_.size(), 16 * kMiB);
    EXPECT_EQ(state(), CW_COW_FULL);
    EXPECT_EQ(device_->flush(), 0);
    EXPECT_EQ(device_->read(3 * kMiB, kMiB), random_bytes(kMiB, 3));
}

TEST_F(CoreLogState, AHigherLimitCountsAtOnceAndAfterTheNextAttach) {
    open(16 * kMiB);
    const u64 room = fill();
    ASSERT_EQ(set_limit(30 * kMiB), 0);
    tend();
    EXPECT_EQ(state(), CW_COW_OK);
    EXPECT_GT(fill(), room + 10);
    EXPECT_LE(cow_.size(), 30 * kMiB);
    ASSERT_EQ(device_->close(), 0);
    open();
    EXPECT_EQ(device_->space().limit, 30 * kMiB);
    ASSERT_EQ(set_limit(0), 0);
    EXPECT_EQ(fill(), 64u);
}

/* Though nothing has room for a checkpoint any more. */
TEST_F(CoreLogState, ANewLimitIsDurableWhenTheCallReturns) {
    open(16 * kMiB);
    fill();
    cow_.set_max(cow_.used());
    SparseIo crashed("crashed");
    cow_.before_flush = [&] {
        crashed.copy_from(&cow_);
        return 0;
    };
    ASSERT_EQ(set_limit(30 * kMiB), 0);
    cow_.before_flush = nullptr;
    LogDevice again(base_.get(), {crashed.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.space().limit, 30 * kMiB);
    EXPECT_EQ(again.read(3 * kMiB, kMiB), random_bytes(kMiB, 3));
}

TEST_F(CoreLogState, ALimitThatCannotBeWrittenIsNone) {
    open(16 * kMiB);
    ASSERT_EQ(device_->write(0, random_bytes(kMiB)), 0);
    cow_.before_write = [](u64 off, size_t) { return off < CW_LOG_START ? -EIO : 0; };
    EXPECT_EQ(set_limit(30 * kMiB), -EIO);
    EXPECT_EQ(device_->space().limit, 16 * kMiB);
    cow_.before_write = nullptr;
    ASSERT_EQ(device_->close(), 0);
    open();
    EXPECT_EQ(device_->space().limit, 16 * kMiB);
}

TEST_F(CoreLogState, ALowerLimitGivesBackWhatIsFreeAboveIt) {
    open();
    ASSERT_EQ(fill(), 64u);
    const u64 used = cow_.used();
    EXPECT_EQ(set_limit(60 * kMiB), -ENOSPC) << "more lives in it";
    EXPECT_EQ(device_->space().limit, 0u);
    cow_.can_punch = false;
    ASSERT_EQ(device_->discard(4 * kMiB, 60 * kMiB), 0);
    cow_.can_punch = true;
    EXPECT_EQ(cow_.used(), used);
    ASSERT_EQ(set_limit(20 * kMiB), 0);
    tend();
    EXPECT_LE(fill(), 20u);
    EXPECT_LE(device_->stat().total_bytes, 20 * kMiB);
    EXPECT_EQ(state(), CW_COW_FULL);
    /* and it is as full as others: discards work */
    ASSERT_EQ(device_->discard(0, 8 * kMiB), 0);
    EXPECT_EQ(device_->write(0, random_bytes(2 * kMiB)), 0);
}

TEST_F(CoreLogState, ALimitBelowWhatDiscardsNeedIsRefused) {
    open();
    EXPECT_EQ(set_limit(1), -ENOSPC);
    EXPECT_EQ(set_limit(2 * kMiB), -ENOSPC);
    EXPECT_EQ(set_limit(12 * kMiB), 0);
}

}  // namespace
}  // namespace cloopw::test
