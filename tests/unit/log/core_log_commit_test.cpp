// SPDX-License-Identifier: GPL-2.0
/*
 * The callers of fdatasync, the locks held over I/O, and the content of a medium's block.
 */
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <set>
#include <thread>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

constexpr u64 kSize = u64{16} << 20;
constexpr u32 kBlock = 4096;

/* ---- one caller of fdatasync ---- */

/* Behaves like a kernel: the first caller gets the error, and the data is lost for good. */
class ErrorToldOnce {
public:
    explicit ErrorToldOnce(SparseIo *cow) {
        cow->before_flush = [this] { return flush(); };
    }

    std::atomic<bool> fail_next = false;
    std::atomic<bool> lost = false;
    std::atomic<unsigned int> asked_after_loss = 0;
    std::atomic<unsigned int> most_at_once = 0;

private:
    int flush() {
        const unsigned int now = ++at_once_;
        unsigned int most = most_at_once;
        while (now > most && !most_at_once.compare_exchange_weak(most, now)) {
        }
        std::this_thread::yield();
        asked_after_loss += lost ? 1 : 0;
        const bool fails = fail_next.exchange(false);
        lost = lost || fails;
        at_once_--;
        return fails ? -EIO : 0;
    }

    std::atomic<unsigned int> at_once_ = 0;
};

TEST(CoreLogCommit, FlushesAndCheckpointsNeverSyncAtOnceAndAllGetTheError) {
    constexpr unsigned int kThreads = 4;
    for (unsigned int round = 0; round < 20; round++) {
        SparseIo base("base", kSize), cow("cow");
        make_log(&cow, log_config(kSize));
        LogDevice device(base.get(), {cow.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        ErrorToldOnce errors(&cow);
        std::atomic<unsigned int> flushed_after_loss = 0;
        auto work = [&](unsigned int id) {
            for (unsigned int i = 0; i < 60; i++) {
                (void)device.write(u64{id} << 20 | u64{i} << 12, text_bytes(4096, i));
                if (id == 0) {
                    (void)cw_device_checkpoint(device.get());
                    continue;
                }
                const bool was_lost = errors.lost;
                flushed_after_loss += device.flush() == 0 && was_lost ? 1 : 0;
                if (id == 1 && i == 10 + round) {
                    errors.fail_next = true;
                }
            }
        };
        std::vector<std::thread> threads;
        for (unsigned int id = 0; id < kThreads; id++) {
            threads.emplace_back(work, id);
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_TRUE(errors.lost);
        EXPECT_EQ(errors.most_at_once, 1u);
        EXPECT_EQ(flushed_after_loss, 0u);
        EXPECT_EQ(errors.asked_after_loss, 0u);
        EXPECT_NE(device.flush(), 0);
        EXPECT_EQ(device.space().state, CW_COW_FAILED);
    }
}

/* ---- no I/O under the lock that readers take ---- */

/* Each write to the file waits until a reader has looked into the map. */
class ReadDuringWrites {
public:
    ReadDuringWrites(SparseIo *cow, const LogDevice &device) : device_(device) {
        cow->before_write = [this](u64, size_t) {
            look();
            return 0;
        };
    }

    unsigned int looks = 0;
    bool stuck = false;

private:
    void look() {
        if (stuck) {
            return;
        }
        auto reader = std::make_shared<std::packaged_task<void()>>([this] {
            u64 n;
            (void)cw_device_block_status(device_.get(), 0, CW_PAGE_SIZE, &n);
        });
        std::future<void> done = reader->get_future();
        std::thread([reader] { (*reader)(); }).detach();
        stuck = done.wait_for(std::chrono::seconds(60)) != std::future_status::ready;
        looks++;
    }

    const LogDevice &device_;
};

TEST(CoreLogCommit, ReadersNeverWaitForZerosMarksOrCheckpoints) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize, "none"));
    const LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.write(0, text_bytes(4096, 1)), 0);
    ReadDuringWrites reads(&cow, device);
    /* Flushes bring zeros ahead, three MiB new segments, the end a checkpoint. */
    for (unsigned int i = 0; i < 48 && !reads.stuck; i++) {
        ASSERT_EQ(device.write(u64{i} << 16, random_bytes(64 << 10, i)), 0);
        ASSERT_EQ(device.flush(), 0);
    }
    ASSERT_EQ(cw_device_checkpoint(device.get()), 0);
    cow.before_write = nullptr;
    EXPECT_FALSE(reads.stuck);
    EXPECT_GT(reads.looks, 48u);
}

/* ---- blocks of the medium ---- */

/* Blocks that hold something durable; a write to one of them is counted. */
class DurableBlocks {
public:
    explicit DurableBlocks(SparseIo *cow) : cow_(*cow) {
        cow->before_write = [this](u64 off, size_t len) {
            write(off, len);
            return 0;
        };
        cow->before_flush = [this] {
            flush();
            return 0;
        };
    }

    unsigned int rewritten = 0;

private:
    /* Superblocks take turns. */
    void write(u64 off, size_t len) {
        for (u64 block = off / kBlock; block <= (off + len - 1) / kBlock; block++) {
            rewritten += durable_.contains(block) ? 1 : 0;
            if (off >= CW_LOG_START) {
                written_.insert(block);
            }
        }
    }
    /*
     * Zeros ahead of the log, and the mark that begins a segment, are no loss. Recovery
     * needs the mark only with a durable record behind it.
     */
    void flush() {
        for (const u64 block : written_) {
            const bool begins = (block * kBlock - CW_LOG_START) % CW_LOG_SEGMENT_LEN == 0;
            if (!begins && cow_.bytes(block * kBlock, kBlock) != Bytes(kBlock)) {
                durable_.insert(block);
            }
        }
        written_.clear();
    }

    SparseIo &cow_;
    std::set<u64> written_, durable_;
};

TEST(CoreLogCommit, NothingIsAppendedToABlockThatIsDurable) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize));
    cow.set_physical_block(kBlock);
    Model model(base.bytes(0, kSize));
    {
        LogDevice device(base.get(), {cow.get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        DurableBlocks blocks(&cow);
        std::mt19937 random(7);
        u64 off = 0;
        /* No page twice: a segment that is used again may be written again. */
        for (unsigned int i = 0; i < 400; i++) {
            const Bytes data = mixed_bytes(&random, (1 + random() % 8) * CW_PAGE_SIZE);
            ASSERT_EQ(device.write(off, data), 0);
            model.write(off, data);
            off += data.size();
            if (random() % 3 == 0) {
                ASSERT_EQ(device.flush(), 0);
            } else if (random() % 40 == 0) {
                ASSERT_EQ(cw_device_checkpoint(device.get()), 0);
            }
        }
        EXPECT_EQ(blocks.rewritten, 0u);
        ASSERT_EQ(device.close(), 0);
        cow.before_write = nullptr;
        cow.before_flush = nullptr;
    }
    const LogDevice again(base.get(), {cow.get()});
    EXPECT_TRUE(again.read(0, kSize) == model.bytes(0, kSize));
}

TEST(CoreLogCommit, AFlushWritesAtMostOnePadAndOnlyWhereBlocksAreLarge) {
    for (const u32 block : {0u, 512u, 4096u, 32768u, 12345u}) {
        SparseIo base("base", kSize), cow("cow");
        make_log(&cow, log_config(kSize));
        cow.set_physical_block(block);
        const LogDevice device(base.get(), {cow.get()});
        for (unsigned int i = 0; i < 20; i++) {
            ASSERT_EQ(device.write(u64{i} << 16, text_bytes(4096, i)), 0);
            const u64 before = cow.writes;
            ASSERT_EQ(device.flush(), 0);
            const bool pads = block == 4096 || block == 32768;
            EXPECT_EQ(cow.writes - before, pads ? 1u : 0u) << block;
            ASSERT_EQ(device.flush(), 0);
            EXPECT_EQ(cow.writes - before, pads ? 1u : 0u) << block;
        }
    }
}

/* ---- a failed write is not a failed read ---- */

TEST(CoreLogCommit, AnErrorOfWritingWhatIsMovedLeavesTheSegmentInUse) {
    SparseIo base("base", kSize), cow("cow");
    LogCowConfig config = log_config(kSize, "none");
    config.limit = u64{20} << 20;
    make_log(&cow, config);
    const LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    /* The cleaner reads a whole segment. Its next write fails once. */
    unsigned int failed = 0;
    bool fails = false;
    cow.before_read = [&](u64, size_t len) {
        fails = len == CW_LOG_SEGMENT_LEN && failed < 12;
        return 0;
    };
    cow.before_write = [&](u64 off, size_t) {
        if (!fails || off < CW_LOG_START) {
            return 0;
        }
        failed++;
        fails = false;
        return -EIO;
    };
    std::mt19937 random(3);
    for (unsigned int i = 0; i < 12000 && failed < 12; i++) {
        (void)device.write(random() % 2048 * CW_PAGE_SIZE, random_bytes(4096, i));
    }
    ASSERT_EQ(failed, 12u);
    /* No segment was lost by that: all the limit allows can still be filled. */
    for (unsigned int pass = 0; pass < 3; pass++) {
        for (unsigned int i = 0; i < 2048; i++) {
            ASSERT_EQ(device.write(u64{i} * CW_PAGE_SIZE, random_bytes(4096, i)), 0) << i;
        }
    }
    EXPECT_EQ(device.space().state, CW_COW_OK);
}

/*
 * The first record is in the file. A failed one broke the log before the first was applied.
 * Recovery finds the first all the same, unless later records are in a new log.
 */
TEST(CoreLogBroken, ADiscardOfWhatFailedIsNotUndoneByACrash) {
    SparseIo base("base", kSize), cow("cow"), crashed("cow");
    make_log(&cow, log_config(kSize, "none"));
    LogDevice device(base.get(), {cow.get()});
    std::atomic<bool> waits = false;
    std::atomic<bool> go = false;
    std::atomic<int> failing = 0;
    cow.before_write = [&](u64, size_t len) {
        if (len == 2 * CW_PAGE_SIZE + CW_SECTOR_SIZE) {
            waits = true;
            while (!go) {
                std::this_thread::yield();
            }
        }
        return failing > 0 && failing-- > 0 ? -EIO : 0;
    };
    int first = 0;
    std::thread writer([&] { first = device.write(0, random_bytes(2 * u64{CW_PAGE_SIZE})); });
    while (!waits) {
        std::this_thread::yield();
    }
    failing = 2; /* the record, and the PAD in its place */
    int second = 0;
    std::thread other([&] { second = device.write(65536, random_bytes(CW_PAGE_SIZE)); });
    while (failing != 0) {
        std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100)); /* to break the log */
    go = true;
    writer.join();
    other.join();
    EXPECT_EQ(first, -EIO);
    EXPECT_EQ(second, -EIO);
    EXPECT_EQ(device.discard(0, kSize), 0);
    EXPECT_EQ(device.flush(), 0);
    crashed.copy_from(&cow);
    LogDevice again(base.get(), {crashed.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, 65536 + CW_PAGE_SIZE), Bytes(65536 + CW_PAGE_SIZE));
}

}  // namespace
}  // namespace cloopw::test
