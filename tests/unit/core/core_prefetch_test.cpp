// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "support/test_io.h"

namespace cloopw::test {
namespace {

constexpr u64 kBegin = 4096;
constexpr u64 kEnd = kBegin + (u64{20} << 20) + 777;
constexpr u64 kIndex = u64{1} << 30;
constexpr u64 kIndexEnd = kIndex + 8192;
constexpr u32 kLen = 20000; /* a stored block */

class CorePrefetch : public testing::Test {
protected:
    CorePrefetch() {
        cw_prefetch_init(&ahead_);
        cw_prefetch_set(&ahead_, kBegin, kEnd, kIndex, kIndexEnd);
    }
    ~CorePrefetch() override { cw_prefetch_destroy(&ahead_); }

    void read(u64 off) { cw_prefetch_note(&ahead_, io_.get(), off, kLen); }
    const std::vector<TestIo::Range> &hints() const { return io_.hints(); }

    /* Where the fetching of the area has come to. */
    u64 fetched() const {
        u64 end = kBegin;
        for (const TestIo::Range &hint : hints()) {
            end = hint.off < kIndex ? std::max(end, hint.off + hint.len) : end;
        }
        return end;
    }

    cw_prefetch ahead_ = {};
    TestIo io_{"x"};
};

TEST_F(CorePrefetch, NothingIsFetchedBeforeTheFirstRead) { EXPECT_TRUE(hints().empty()); }

TEST_F(CorePrefetch, TheIndexComesFirst) {
    read(kBegin);
    ASSERT_FALSE(hints().empty());
    EXPECT_EQ(hints().front(), (TestIo::Range{kIndex, kIndexEnd - kIndex}));
    read(kBegin + (u64{1} << 20));
    EXPECT_EQ(std::count_if(hints().begin(), hints().end(),
                            [](const TestIo::Range &hint) { return hint.off >= kIndex; }),
              1);
}

/* All of the area, each byte once, in its order, and never far ahead of the readers. */
TEST_F(CorePrefetch, FetchesInStepWithItsReaders) {
    for (u64 off = kBegin; off < kEnd; off += kLen) {
        read(off);
        EXPECT_GE(fetched(), std::min(kEnd, off + kLen));
        EXPECT_LE(fetched(), off + kLen + CW_PREFETCH_WINDOW);
    }
    u64 next = kBegin;
    for (size_t n = 1; n < hints().size(); n++) {
        EXPECT_EQ(hints()[n].off, next);
        EXPECT_LE(hints()[n].len, CW_PREFETCH_STEP);
        next += hints()[n].len;
    }
    EXPECT_EQ(next, kEnd);
}

TEST_F(CorePrefetch, FewLargeRequests) {
    for (u64 off = kBegin; off < kEnd; off += kLen) {
        read(off);
    }
    EXPECT_LE(hints().size(), 2 + (kEnd - kBegin) / (CW_PREFETCH_STEP / 2));
}

TEST_F(CorePrefetch, AFarReadDoesNotMoveIt) {
    read(kBegin);
    const u64 before = fetched();
    read(kEnd - kLen);
    EXPECT_EQ(fetched(), before);
}

TEST_F(CorePrefetch, EndsWhenTheBootReadsElsewhere) {
    read(kBegin);
    const size_t before = hints().size();
    for (int n = 0; n < 1000; n++) {
        read(kEnd + n);
    }
    read(kBegin + CW_PREFETCH_WINDOW);
    EXPECT_EQ(hints().size(), before);
}

/* Some reads elsewhere are in each boot. */
TEST_F(CorePrefetch, GoesOnWhenMostReadsAreInTheArea) {
    for (u64 off = kBegin; off < kEnd; off += kLen) {
        read(off);
        read(kEnd + off);
    }
    EXPECT_EQ(fetched(), kEnd);
}

TEST_F(CorePrefetch, NoAreaNoFetching) {
    cw_prefetch_set(&ahead_, kBegin, kBegin, 0, 0);
    for (u64 off = 0; off < kEnd; off += kLen) {
        read(off);
    }
    EXPECT_TRUE(hints().empty());
}

}  // namespace
}  // namespace cloopw::test
