// SPDX-License-Identifier: GPL-2.0
/* The native COW log and its file: growing, cleaning, giving back, being full. */
#include <gtest/gtest.h>

#include <unordered_map>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kBoundExtra = 8 * kMiB;
constexpr unsigned int kEnough = 40; /* writes after a discard */

/* Pages of a sparse base. A number in each tells its version. */
class Pages {
public:
    explicit Pages(const LogDevice &device) : device_(device) {}

    Bytes content(u64 page, u32 version) const {
        u64 state = page * 0x9e3779b97f4a7c15 + version;
        Bytes bytes(CW_PAGE_SIZE);
        for (size_t i = 0; i < bytes.size(); i += sizeof(state)) {
            state = state * 6364136223846793005 + 1442695040888963407;
            /* every third version does not shrink, others to a quarter */
            const u64 word = version % 3 == 0 || i % 32 == 0 ? state ^ state >> 29 : page;
            memcpy(&bytes[i], &word, sizeof(word));
        }
        return bytes;
    }
    int write(u64 page) {
        const u32 version = versions_[page] + 1;
        const int err = device_.write(page * CW_PAGE_SIZE, content(page, version));
        if (err == 0) {
            versions_[page] = version;
        }
        return err;
    }
    int discard(u64 page, u64 pages) {
        const int err = device_.discard(page * CW_PAGE_SIZE, pages * CW_PAGE_SIZE);
        for (u64 i = page; err == 0 && i < page + pages; i++) {
            versions_.erase(i);
        }
        return err;
    }
    bool is_right(u64 page, const LogDevice &device) const {
        const auto at = versions_.find(page);
        const Bytes now = device.read(page * CW_PAGE_SIZE, CW_PAGE_SIZE);
        return now == (at == versions_.end() || at->second == 0 ? Bytes(CW_PAGE_SIZE)
                                                                : content(page, at->second));
    }
    /* How many are wrong. */
    u64 wrong(const LogDevice &device) const {
        u64 count = 0;
        for (const auto &[page, version] : versions_) {
            count += is_right(page, device) ? 0 : 1;
        }
        return count;
    }
    u64 wrong() const { return wrong(device_); }
    u64 first() const { return versions_.begin()->first; }
    size_t count() const { return versions_.size(); }

private:
    const LogDevice &device_;
    std::unordered_map<u64, u32> versions_;
};

/* Writes this MiB all over the device. */
void fill(LogDevice *device, u64 size, const Bytes &mib) {
    for (u64 off = 0; off < size; off += kMiB) {
        ASSERT_EQ(device->write(off, mib), 0);
    }
}

TEST(CoreLogSpace, RewritingForEverKeepsTheFileWithinItsBound) {
    SparseIo base("base", 64 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size()));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::mt19937 random(1);
    Pages pages(device);
    const u64 count = base.size() / CW_PAGE_SIZE;
    for (u64 i = 0; i < count; i++) {
        ASSERT_EQ(pages.write(i), 0);
    }
    for (unsigned int round = 0; round < 20; round++) {
        for (u64 i = 0; i < count; i++) {
            ASSERT_EQ(pages.write(random() % count), 0);
        }
        const u64 live = device.stat().live_bytes;
        ASSERT_LE(cow.size(), live + live / 2 + kBoundExtra) << round << ", live " << live;
    }
    EXPECT_EQ(pages.wrong(), 0u);
}

TEST(CoreLogSpace, RewritingOnePageForEverKeepsTheFileSmall) {
    SparseIo base("base", 64 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size()));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    for (unsigned int i = 0; i < 50000; i++) {
        ASSERT_EQ(pages.write(7), 0);
    }
    EXPECT_LE(cow.size(), kBoundExtra);
    EXPECT_EQ(pages.wrong(), 0u);
}

TEST(CoreLogSpace, DiscardingAllGivesTheSpaceBack) {
    SparseIo base("base", 256 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size(), "none"));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    const Bytes data = random_bytes(kMiB);
    ASSERT_NO_FATAL_FAILURE(fill(&device, base.size(), data));
    const u64 peak = cow.used();
    EXPECT_GE(peak, base.size());
    ASSERT_EQ(device.discard(0, base.size()), 0);
    EXPECT_LE(cow.used(), peak / 20);
    EXPECT_EQ(device.stat().live_bytes, 0u);
    EXPECT_EQ(device.stat().plain_bytes, 0u);
    EXPECT_EQ(device.read(5 * kMiB, 4096), Bytes(4096));
    ASSERT_EQ(device.close(), 0);
    EXPECT_LE(cow.used(), 3 * kMiB);
}

/* The remaining data is put together, and little is kept free besides. */
TEST(CoreLogSpace, WhatIsLeftAfterDiscardsIsPutTogether) {
    SparseIo base("base", 128 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size(), "none"));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    const Bytes data = random_bytes(kMiB);
    ASSERT_NO_FATAL_FAILURE(fill(&device, base.size(), data));
    const u64 kept = 64 << 10;
    for (u64 off = 0; off < base.size() / 2; off += kMiB) {
        ASSERT_EQ(device.discard(off + kept, kMiB - kept), 0);
    }
    ASSERT_EQ(device.discard(base.size() / 2, base.size() / 2), 0);
    const u64 live = device.stat().live_bytes;
    EXPECT_LE(live, 5 * kMiB);
    EXPECT_LE(cow.used(), live + live * 3 / 8 + 7 * kMiB);
    EXPECT_EQ(device.read(7 * kMiB, kept), Bytes(data.begin(), data.begin() + kept));
}

/* Space from before the attach is given back, too. */
TEST(CoreLogSpace, AFileThatWasKilledFullIsPunchedWhenItIsClosed) {
    SparseIo base("base", 64 * kMiB), cow("cow"), killed("cow");
    make_log(&cow, log_config(base.size(), "none"));
    {
        LogDevice device(base.get(), {cow.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        for (u64 off = 0; off < base.size(); off += kMiB) {
            ASSERT_EQ(device.write(off, random_bytes(kMiB)), 0);
        }
        cow.can_punch = false;
        ASSERT_EQ(device.discard(0, base.size()), 0);
        ASSERT_EQ(device.flush(), 0);
        killed.copy_from(&cow);
    }
    ASSERT_GE(killed.used(), base.size());
    LogDevice device(base.get(), {killed.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    ASSERT_EQ(device.close(), 0);
    EXPECT_LE(killed.used(), 3 * kMiB);
}

TEST(CoreLogSpace, ZerosTakeNoSpace) {
    SparseIo base("base", 512 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size()));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    ASSERT_EQ(device.zero(0, base.size()), 0);
    const Bytes zeros(kMiB);
    ASSERT_NO_FATAL_FAILURE(fill(&device, base.size(), zeros));
    EXPECT_EQ(device.stat().live_bytes, 0u);
    EXPECT_EQ(device.stat().plain_bytes, base.size());
    EXPECT_LE(cow.used(), kBoundExtra);
}

/* ---- a full file system, and a limit ---- */

struct Full {
    const char *name;
    bool limit; /* the log's own, else the file system's end */
    u64 max;
    u64 device;
};

class CoreLogFull : public testing::TestWithParam<Full> {
protected:
    void make(LogCowConfig config) {
        if (GetParam().limit) {
            config.limit = GetParam().max;
        } else {
            cow_.set_max(GetParam().max);
        }
        make_log(&cow_, config);
    }
    /* Writes random pages until there is no space. */
    void fill(const LogDevice &device, Pages *pages, std::mt19937 *random) {
        const u64 count = base_.size() / CW_PAGE_SIZE;
        int err = 0;
        for (u64 i = 0; err == 0 && i < 2 * count; i++) {
            err = pages->write((*random)() % count);
        }
        ASSERT_EQ(err, -ENOSPC);
        ASSERT_EQ(device.err(), 0);
    }

    SparseIo base_{"base", GetParam().device};
    SparseIo cow_{"cow"};
};

TEST_P(CoreLogFull, ReadsGoOnDiscardsWorkAndWritesComeBack) {
    make(log_config(base_.size(), "lz4"));
    LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::mt19937 random(2);
    Pages pages(device);
    const u64 count = base_.size() / CW_PAGE_SIZE;
    for (unsigned int round = 0; round < 6; round++) {
        ASSERT_NO_FATAL_FAILURE(fill(device, &pages, &random)) << round;
        EXPECT_EQ(device.flush(), 0);
        EXPECT_EQ(pages.wrong(), 0u) << round;
        /* Give back in large and in small pieces. */
        for (u64 i = 0; i < count; i += 64) {
            const u64 size = round % 2 == 0 ? 48 : 1 + random() % 60;
            ASSERT_EQ(pages.discard(i, std::min(size, count - i)), 0) << round << "." << i;
        }
        unsigned int written = 0;
        while (written < kEnough && pages.write(random() % count) == 0) {
            written++;
        }
        ASSERT_EQ(written, kEnough) << round;
        EXPECT_EQ(pages.wrong(), 0u) << round;
    }
    EXPECT_LE(cow_.size(), GetParam().max + SparseIo::kChunk);
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base_.get(), {cow_.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(pages.wrong(again), 0u);
}

TEST_P(CoreLogFull, DiscardsPageByPageNeverFindItFull) {
    make(log_config(base_.size(), "none"));
    LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::mt19937 random(3);
    Pages pages(device);
    ASSERT_NO_FATAL_FAILURE(fill(device, &pages, &random));
    while (pages.count() > 0) {
        /* every second one is written again right after, if there is room */
        const u64 page = pages.first();
        ASSERT_EQ(pages.discard(page, 1), 0);
    }
    EXPECT_EQ(pages.write(1), 0);
}

TEST_P(CoreLogFull, ALogKilledWhenFullIsAttachedAndWorksOn) {
    make(log_config(base_.size(), "lz4"));
    std::mt19937 random(4);
    SparseIo killed("cow");
    LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    const u64 count = base_.size() / CW_PAGE_SIZE;
    for (unsigned int round = 0; round < 2; round++) {
        ASSERT_NO_FATAL_FAILURE(fill(device, &pages, &random));
        for (u64 i = 0; i < 3000; i++) {
            ASSERT_EQ(pages.discard(random() % count, 1), 0);
            if (i % 1000 == 0) {
                killed.copy_from(&cow_);
                killed.set_max(GetParam().limit ? SparseIo::kCapacity : killed.used());
                LogDevice again(base_.get(), {killed.get()});
                ASSERT_EQ(again.err(), 0) << again.why();
                EXPECT_EQ(pages.wrong(again), 0u);
                ASSERT_EQ(again.discard(0, base_.size() / 2), 0) << round << "." << i;
                ASSERT_EQ(again.write(0, Bytes(40000, 'x')), 0) << round << "." << i;
            }
        }
    }
}

TEST_P(CoreLogFull, MoreSpaceIsUsedWithoutAnAttach) {
    if (GetParam().limit) {
        /* a limit does not move: an attach with less than it needs */
        LogCowConfig config = log_config(base_.size());
        config.limit = CW_LOG_START + kMiB;
        make_log(&cow_, config);
        LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        EXPECT_EQ(device.write(0, Bytes(4096, 'x')), -ENOSPC);
        EXPECT_EQ(device.read(0, 4096), Bytes(4096));
        return;
    }
    make(log_config(base_.size(), "none"));
    LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::mt19937 random(5);
    Pages pages(device);
    ASSERT_NO_FATAL_FAILURE(fill(device, &pages, &random));
    cow_.set_max(GetParam().max + 20 * kMiB);
    for (unsigned int i = 0; i < 1000; i++) {
        ASSERT_EQ(pages.write(random() % (base_.size() / CW_PAGE_SIZE)), 0) << i;
    }
    EXPECT_EQ(pages.wrong(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, CoreLogFull,
                         testing::Values(Full{"disk_16", false, 16 * kMiB, 64 * kMiB},
                                         Full{"disk_9", false, 9 * kMiB, 32 * kMiB},
                                         Full{"disk_40_of_16_GiB", false, 40 * kMiB, u64{16} << 30},
                                         Full{"limit_12", true, 12 * kMiB, 48 * kMiB},
                                         Full{"limit_30_of_4_GiB", true, 30 * kMiB, u64{4} << 30}),
                         [](const testing::TestParamInfo<Full> &info) {
                             return std::string(info.param.name);
                         });

TEST(CoreLogSpace, AFileSystemThatIsFullWhenItIsAttachedIsNoReasonToRefuse) {
    SparseIo base("base", 8 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size()));
    cow.set_max(cow.used());
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.write(0, Bytes(4096, 'x')), -ENOSPC);
    EXPECT_EQ(device.read(0, 4096), Bytes(4096));
    EXPECT_EQ(device.discard(0, kMiB), 0);
    cow.set_max(64 * kMiB);
    EXPECT_EQ(device.write(0, Bytes(4096, 'x')), 0);
    EXPECT_EQ(device.read(0, 4096), Bytes(4096, 'x'));
}

/* ---- media that cannot do everything ---- */

TEST(CoreLogSpace, AMediumThatCannotAllocateIsFilledWithZeros) {
    SparseIo base("base", 32 * kMiB), cow("cow");
    cow.can_allocate = false;
    cow.can_punch = false;
    cow.set_max(20 * kMiB);
    make_log(&cow, log_config(base.size(), "none"));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    int err = 0;
    for (u64 i = 0; err == 0; i++) {
        err = pages.write(i);
    }
    EXPECT_EQ(err, -ENOSPC);
    EXPECT_EQ(pages.wrong(), 0u);
    EXPECT_EQ(pages.discard(0, 1024), 0);
    EXPECT_EQ(pages.write(5), 0);
}

/* A thin volume promises space that it does not have. */
TEST(CoreLogSpace, SpaceThatWasPromisedAndIsNotThereEndsNothing) {
    SparseIo base("base", 64 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size(), "none"));
    bool full = false;
    cow.before_write = [&](u64, size_t) { return full ? -ENOSPC : 0; };
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    for (u64 round = 0; round < 20; round++) {
        for (u64 i = 0; i < 100; i++) {
            ASSERT_EQ(pages.write(i * 7 + round), 0);
        }
        full = true;
        for (u64 i = 0; i < 3; i++) {
            ASSERT_EQ(pages.write(i), -ENOSPC);
        }
        ASSERT_EQ(device.flush(), 0);
        EXPECT_EQ(pages.wrong(), 0u);
        full = false;
    }
    EXPECT_EQ(pages.write(0), 0);
    SparseIo killed("cow");
    ASSERT_EQ(device.flush(), 0);
    killed.copy_from(&cow);
    LogDevice again(base.get(), {killed.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(pages.wrong(again), 0u);
}

/* "Full" would send its owner to look for space. */
TEST(CoreLogSpace, AnErrorOfAnAllocationIsNoLackOfSpace) {
    for (const int error : {-EIO, -ENOMEM}) {
        SparseIo base("base", 64 * kMiB), cow("cow");
        make_log(&cow, log_config(base.size(), "none"));
        LogDevice device(base.get(), {cow.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        Pages pages(device);
        ASSERT_EQ(pages.write(0), 0);
        cow.before_allocate = [&] { return error; };
        int err = 0;
        for (u64 i = 1; err == 0 && i < 16000; i++) {
            err = pages.write(i);
        }
        EXPECT_EQ(err, error);
        EXPECT_EQ(device.space().state, CW_COW_FAILED);
        cow.before_allocate = nullptr;
        EXPECT_EQ(pages.write(1), 0);
        EXPECT_EQ(device.space().state, CW_COW_OK);
        EXPECT_EQ(pages.wrong(), 0u);
    }
}

TEST(CoreLogSpace, AnErrorOfACheckpointThatWouldMakeRoomIsNoLackOfSpace) {
    SparseIo base("base", 64 * kMiB), cow("cow");
    LogCowConfig config = log_config(base.size(), "none");
    config.limit = 12 * kMiB;
    make_log(&cow, config);
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    int err = 0;
    u64 written = 0;
    for (; err == 0; written++) {
        err = pages.write(written);
    }
    ASSERT_EQ(err, -ENOSPC);
    cow.before_write = [](u64, size_t) { return -ENOMEM; };
    EXPECT_EQ(pages.write(0), -ENOMEM);
    cow.before_write = nullptr;
    EXPECT_EQ(pages.write(0), -ENOSPC);
    ASSERT_EQ(pages.discard(0, written), 0);
    EXPECT_EQ(pages.write(0), 0);
    EXPECT_EQ(pages.wrong(), 0u);
}

TEST(CoreLogSpace, AFlushThatFailsEndsWritingButNotReading) {
    SparseIo base("base", 8 * kMiB), cow("cow");
    make_log(&cow, log_config(base.size()));
    bool broken = false;
    cow.before_flush = [&] { return broken ? -EIO : 0; };
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    ASSERT_EQ(device.write(0, Bytes(8192, 'a')), 0);
    broken = true;
    EXPECT_EQ(device.flush(), -EIO);
    broken = false;
    EXPECT_EQ(device.flush(), -EIO);
    EXPECT_EQ(device.write(0, Bytes(8192, 'b')), -EIO);
    EXPECT_EQ(device.discard(0, 8192), -EIO);
    EXPECT_EQ(device.read(0, 8192), Bytes(8192, 'a'));
    EXPECT_EQ(device.close(), -EIO);
}

/* ---- maps larger than what may be dirty at once ---- */

TEST(CoreLogSpace, MoreMapPagesThanMayBeDirtyAreWrittenInTurns) {
    SparseIo base("base", u64{8} << 30), cow("cow");
    make_log(&cow, log_config(base.size()));
    std::mt19937 random(6);
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    SparseIo killed("cow");
    for (unsigned int i = 1; i <= 12000; i++) {
        ASSERT_EQ(pages.write(random() % (base.size() / CW_PAGE_SIZE)), 0);
        if (i % 3001 == 0) {
            killed.copy_from(&cow);
            LogDevice again(base.get(), {killed.get()}, i % 2 == 0);
            ASSERT_EQ(again.err(), 0) << again.why();
            EXPECT_EQ(pages.wrong(again), 0u);
        }
    }
    EXPECT_EQ(pages.wrong(), 0u);
    ASSERT_EQ(device.discard(0, base.size()), 0);
    ASSERT_EQ(device.close(), 0);
    EXPECT_LE(cow.used(), 4 * kMiB);
}

/* Small writes far apart: all pages of a large map are rewritten for ever. */
TEST(CoreLogSpace, AMapThatIsRewrittenForEverStaysSmall) {
    SparseIo base("base", u64{4} << 30), cow("cow");
    make_log(&cow, log_config(base.size()));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    Pages pages(device);
    for (unsigned int round = 0; round < 20; round++) {
        for (u64 i = 0; i < 2048; i++) {
            ASSERT_EQ(pages.write(i * 512 + (i * 7 + round % 2) % 512), 0);
        }
        const u64 live = device.stat().live_bytes;
        ASSERT_LE(cow.used(), live + live / 2 + kBoundExtra + kMiB) << round;
    }
    EXPECT_EQ(pages.wrong(), 0u);
}

}  // namespace
}  // namespace cloopw::test
