// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "support/hooks.h"

namespace cloopw::test {
namespace {

constexpr u32 kLen = 4096;

/* Fills that count and can be held up, for use as a cw_cache_fill. */
class Filler {
public:
    std::atomic<int> calls{0};
    std::atomic<int> result{0};
    std::function<void()> during;

    static int fill(void *arg, u64 pos, u8 *buf, u32 len) {
        Filler *filler = static_cast<Filler *>(arg);
        filler->calls++;
        if (filler->during) {
            filler->during();
        }
        memset(buf, static_cast<int>(pos), len);
        return filler->result;
    }
};

class CoreCache : public testing::Test {
protected:
    static constexpr u64 kLimit = 4 * kLen;

    ~CoreCache() override { cw_cache_destroy(cache_); }

    int get(u64 pos, cw_cache_entry **entry) {
        return cw_cache_get(cache_, owner_, pos, kLen, Filler::fill, &filler_, entry);
    }
    int get_and_put(u64 pos) {
        cw_cache_entry *entry;
        const int err = get(pos, &entry);
        if (err == 0) {
            cw_cache_put(cache_, entry);
        }
        return err;
    }
    bool holds(u64 pos, u64 owner) {
        cw_cache_entry *entry = cw_cache_peek(cache_, owner, pos);
        if (entry != nullptr) {
            cw_cache_put(cache_, entry);
        }
        return entry != nullptr;
    }
    bool holds(u64 pos) { return holds(pos, owner_); }
    cw_cache_stats stats() {
        cw_cache_stats stats;
        cw_cache_get_stats(cache_, &stats);
        return stats;
    }
    /* Until so many others wait for a fill (each counts as a hit at once). */
    void wait_for_hits(u64 hits) {
        while (stats().hits < hits) {
            std::this_thread::yield();
        }
    }

    cw_cache *cache_ = cw_cache_create(kLimit);
    u64 owner_ = cw_cache_new_owner(cache_);
    Filler filler_;
};

TEST_F(CoreCache, FillsWhatIsNotThere) {
    cw_cache_entry *entry;
    ASSERT_EQ(get(7, &entry), 0);
    EXPECT_EQ(entry->data[kLen - 1], 7);
    cw_cache_put(cache_, entry);
}

TEST_F(CoreCache, DoesNotFillTwice) {
    get_and_put(7);
    get_and_put(7);
    EXPECT_EQ(filler_.calls, 1);
}

TEST_F(CoreCache, CountsHitsAndMisses) {
    get_and_put(7);
    get_and_put(7);
    get_and_put(8);
    EXPECT_EQ(stats().hits, 1u);
    EXPECT_EQ(stats().misses, 2u);
}

TEST_F(CoreCache, KeepsOwnersApart) {
    get_and_put(7);
    EXPECT_FALSE(holds(7, cw_cache_new_owner(cache_)));
}

TEST_F(CoreCache, CopiesAPartOfWhatIsReady) {
    get_and_put(7);
    std::array<u8, 10> out{};
    ASSERT_TRUE(cw_cache_copy(cache_, owner_, 7, kLen - 10, 10, out.data()));
    EXPECT_EQ(out, (std::array<u8, 10>{7, 7, 7, 7, 7, 7, 7, 7, 7, 7}));
    EXPECT_EQ(stats().hits, 1u);
}

TEST_F(CoreCache, CopiesNothingThatIsNotThere) {
    u8 byte = 1;
    EXPECT_FALSE(cw_cache_copy(cache_, owner_, 7, 0, 1, &byte));
    get_and_put(7);
    EXPECT_FALSE(cw_cache_copy(cache_, owner_, 7, kLen, 1, &byte));
    EXPECT_EQ(byte, 1);
}

TEST_F(CoreCache, CopiesNothingOfWhatIsBeingFilled) {
    bool copied = true;
    filler_.during = [this, &copied] {
        u8 byte;
        copied = cw_cache_copy(cache_, owner_, 7, 0, 1, &byte);
    };
    get_and_put(7);
    EXPECT_FALSE(copied);
}

TEST_F(CoreCache, CopyingKeepsAnEntryFromBeingTheOldest) {
    u8 byte;
    for (u64 pos = 1; pos <= 4; pos++) {
        get_and_put(pos);
    }
    ASSERT_TRUE(cw_cache_copy(cache_, owner_, 1, 0, 1, &byte));
    get_and_put(5);
    EXPECT_TRUE(holds(1));
    EXPECT_FALSE(holds(2));
}

TEST_F(CoreCache, FillsOnceForManyWhoWait) {
    constexpr int kThreads = 8;
    filler_.during = [this] { wait_for_hits(kThreads - 1); };
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([this, &good] {
            cw_cache_entry *entry;
            if (get(7, &entry) == 0) {
                good += entry->data[0] == 7 ? 1 : 0;
                cw_cache_put(cache_, entry);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(filler_.calls, 1);
    EXPECT_EQ(good, kThreads);
}

TEST_F(CoreCache, AFailedFillReachesAllWhoWait) {
    constexpr int kThreads = 8;
    filler_.result = -EIO;
    filler_.during = [this] { wait_for_hits(kThreads - 1); };
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([this, &failed] { failed += get_and_put(7) == -EIO ? 1 : 0; });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(filler_.calls, 1);
    EXPECT_EQ(failed, kThreads);
}

TEST_F(CoreCache, AFailedFillIsNotKept) {
    filler_.result = -EIO;
    EXPECT_EQ(get_and_put(7), -EIO);
    filler_.result = 0;
    EXPECT_EQ(get_and_put(7), 0);
    EXPECT_EQ(filler_.calls, 2);
}

TEST_F(CoreCache, AFailedFillHoldsNoBytes) {
    filler_.result = -EIO;
    get_and_put(7);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, StaysWithinItsLimit) {
    for (u64 pos = 0; pos < 100; pos++) {
        get_and_put(pos);
        ASSERT_LE(stats().bytes, kLimit);
    }
    EXPECT_EQ(stats().bytes, kLimit);
}

TEST_F(CoreCache, EvictsWhatWasUsedLongestAgo) {
    for (u64 pos = 0; pos < 4; pos++) {
        get_and_put(pos);
    }
    get_and_put(0);
    get_and_put(4);
    EXPECT_TRUE(holds(0));
    EXPECT_FALSE(holds(1));
}

TEST_F(CoreCache, DoesNotEvictWhatIsInUse) {
    cw_cache_entry *entry;
    ASSERT_EQ(get(0, &entry), 0);
    for (u64 pos = 1; pos < 100; pos++) {
        get_and_put(pos);
    }
    EXPECT_TRUE(holds(0));
    EXPECT_EQ(entry->data[0], 0);
    cw_cache_put(cache_, entry);
}

TEST_F(CoreCache, ServesMoreThanItsLimitAndKeepsNoneOfIt) {
    cw_cache_entry *entry;
    const u32 len = static_cast<u32>(kLimit) + 1;
    ASSERT_EQ(cw_cache_get(cache_, owner_, 7, len, Filler::fill, &filler_, &entry), 0);
    EXPECT_EQ(entry->data[len - 1], 7);
    cw_cache_put(cache_, entry);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, ALowerLimitEvictsAtOnce) {
    for (u64 pos = 0; pos < 4; pos++) {
        get_and_put(pos);
    }
    cw_cache_set_limit(cache_, kLen);
    EXPECT_EQ(stats().bytes, kLen);
    EXPECT_TRUE(holds(3));
}

TEST_F(CoreCache, TellsWhatCouldGo) {
    cw_cache_entry *entry;
    get_and_put(1);
    ASSERT_EQ(get(2, &entry), 0);
    EXPECT_EQ(cw_cache_evictable(cache_), kLen);
    cw_cache_put(cache_, entry);
    EXPECT_EQ(cw_cache_evictable(cache_), 2 * kLen);
}

TEST_F(CoreCache, ShrinksByAtLeastWhatIsAsked) {
    for (u64 pos = 0; pos < 4; pos++) {
        get_and_put(pos);
    }
    EXPECT_EQ(cw_cache_shrink(cache_, kLen + 1), 2 * kLen);
    EXPECT_EQ(stats().bytes, 2 * kLen);
}

TEST_F(CoreCache, ShrinksToNothingWhenAskedForMoreThanItHas) {
    get_and_put(0);
    EXPECT_EQ(cw_cache_shrink(cache_, ~0ull), kLen);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, ShrinkLeavesWhatIsInUse) {
    cw_cache_entry *entry;
    ASSERT_EQ(get(0, &entry), 0);
    EXPECT_EQ(cw_cache_shrink(cache_, ~0ull), 0u);
    EXPECT_TRUE(holds(0));
    cw_cache_put(cache_, entry);
}

/* A shrinker can run inside an allocation of the thread that holds the lock. */
TEST_F(CoreCache, ShrinkDoesNotWaitForTheLock) {
    u64 freed = 1, evictable = 1;
    get_and_put(0);
    {
        OnFree hook([&] { /* entries are freed under the lock */
                          freed = cw_cache_shrink(cache_, kLen);
                          evictable = cw_cache_evictable(cache_);
        });
        cw_cache_drop(cache_, owner_, 0);
    }
    EXPECT_EQ(freed, 0u);
    EXPECT_EQ(evictable, 0u);
}

TEST_F(CoreCache, ADroppedEntryIsFilledAgain) {
    get_and_put(7);
    cw_cache_drop(cache_, owner_, 7);
    EXPECT_FALSE(holds(7));
    get_and_put(7);
    EXPECT_EQ(filler_.calls, 2);
}

TEST_F(CoreCache, ADroppedEntryStaysWithWhoHoldsIt) {
    cw_cache_entry *entry;
    ASSERT_EQ(get(7, &entry), 0);
    cw_cache_drop(cache_, owner_, 7);
    EXPECT_EQ(entry->data[kLen - 1], 7);
    cw_cache_put(cache_, entry);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, DroppingWhatIsNotThereIsFine) {
    cw_cache_drop(cache_, owner_, 7);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, WhatIsDroppedWhileItFillsIsNotKept) {
    filler_.during = [this] { cw_cache_drop(cache_, owner_, 7); };
    cw_cache_entry *entry;
    ASSERT_EQ(get(7, &entry), 0);
    EXPECT_FALSE(holds(7));
    EXPECT_EQ(entry->data[0], 7);
    cw_cache_put(cache_, entry);
}

TEST_F(CoreCache, WhatIsDroppedWhileItFillsCanFail) {
    filler_.result = -EIO;
    filler_.during = [this] { cw_cache_drop(cache_, owner_, 7); };
    EXPECT_EQ(get_and_put(7), -EIO);
    EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(CoreCache, WhoAsksAfterADropDoesNotGetTheFillBeforeIt) {
    Filler later;
    filler_.during = [&] {
        cw_cache_drop(cache_, owner_, 7);
        cw_cache_entry *entry;
        ASSERT_EQ(cw_cache_get(cache_, owner_, 7, kLen, Filler::fill, &later, &entry), 0);
        cw_cache_put(cache_, entry);
    };
    get_and_put(7);
    EXPECT_EQ(later.calls, 1);
    EXPECT_TRUE(holds(7));
}

TEST_F(CoreCache, DropOwnerForgetsAllOfItsEntries) {
    for (u64 pos = 0; pos < 4; pos++) {
        get_and_put(pos * 1000003);
    }
    cw_cache_drop_owner(cache_, owner_);
    EXPECT_EQ(stats().bytes, 0u);
    EXPECT_EQ(cw_cache_evictable(cache_), 0u);
}

TEST_F(CoreCache, DropOwnerLeavesTheEntriesOfOthers) {
    const u64 other = cw_cache_new_owner(cache_);
    get_and_put(7);
    cw_cache_drop_owner(cache_, other);
    EXPECT_TRUE(holds(7));
}

TEST_F(CoreCache, PeekDoesNotFill) {
    EXPECT_EQ(cw_cache_peek(cache_, owner_, 7), nullptr);
    EXPECT_EQ(filler_.calls, 0);
}

TEST_F(CoreCache, PeekTakesWhatIsReady) {
    get_and_put(7);
    cw_cache_entry *entry = cw_cache_peek(cache_, owner_, 7);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->data[0], 7);
    cw_cache_put(cache_, entry);
}

TEST_F(CoreCache, PeekDoesNotWaitForAFill) {
    bool there = true;
    filler_.during = [&] { there = holds(7); };
    get_and_put(7);
    EXPECT_FALSE(there);
}

TEST_F(CoreCache, SaysSoWhenThereIsNoMemoryForAnEntry) {
    FailAllocations fail(nth_allocation(0));
    EXPECT_EQ(get_and_put(7), -ENOMEM);
}

TEST_F(CoreCache, SaysSoWhenThereIsNoMemoryForItsData) {
    FailAllocations fail(nth_allocation(1));
    EXPECT_EQ(get_and_put(7), -ENOMEM);
}

TEST_F(CoreCache, WorksAgainWhenThereIsMemory) {
    {
        FailAllocations fail(nth_allocation(1));
        ASSERT_EQ(get_and_put(7), -ENOMEM);
    }
    EXPECT_EQ(get_and_put(7), 0);
}

TEST_F(CoreCache, AHitNeedsNoMemory) {
    get_and_put(7);
    FailAllocations fail([](size_t) { return true; });
    EXPECT_EQ(get_and_put(7), 0);
}

TEST_F(CoreCache, IsNotMadeWithoutMemory) {
    FailAllocations fail(nth_allocation(0));
    EXPECT_EQ(cw_cache_create(kLimit), nullptr);
}

/* ---- a limit for several ---- */

class CoreCacheBudget : public testing::Test {
protected:
    static constexpr int kCaches = 3;
    static constexpr u64 kLimit = 12 * kLen;

    CoreCacheBudget() {
        cw_cache_budget_init(&budget_, kLimit);
        for (auto &cache : caches_) {
            cache = cw_cache_create(kLimit);
            cw_cache_join(cache, &budget_);
        }
    }
    ~CoreCacheBudget() override {
        for (cw_cache *cache : caches_) {
            cw_cache_destroy(cache);
        }
        EXPECT_EQ(cw_atomic64_read(&budget_.bytes), 0);
        cw_cache_budget_destroy(&budget_);
    }

    void read(int i, u64 pos) {
        cw_cache_entry *entry;
        ASSERT_EQ(cw_cache_get(caches_[i], 1, pos, kLen, Filler::fill, &filler_, &entry), 0);
        cw_cache_put(caches_[i], entry);
    }
    void read_many(int i, u64 first, u64 count) {
        for (u64 pos = first; pos < first + count; pos++) {
            read(i, pos);
        }
    }
    u64 pages(int i) {
        cw_cache_stats stats;
        cw_cache_get_stats(caches_[i], &stats);
        return stats.bytes / kLen;
    }
    u64 all() { return pages(0) + pages(1) + pages(2); }

    cw_cache_budget budget_;
    std::array<cw_cache *, kCaches> caches_;
    Filler filler_;
};

TEST_F(CoreCacheBudget, OneMayHaveAllOfIt) {
    read_many(1, 0, 12);
    EXPECT_EQ(pages(1), 12U);
    read(1, 100);
    EXPECT_EQ(pages(1), 12U);
}

TEST_F(CoreCacheBudget, WhoHasMostGives) {
    read_many(0, 0, 10);
    read_many(1, 0, 2);
    read_many(2, 0, 4);
    EXPECT_EQ(pages(0), 6U);
    EXPECT_EQ(pages(1), 2U);
    EXPECT_EQ(pages(2), 4U);
    read_many(1, 0, 50);
    read_many(2, 4, 50);
    EXPECT_EQ(all(), 12U);
    EXPECT_EQ(pages(0), 4U);
}

TEST_F(CoreCacheBudget, TheOldestGoes) {
    read_many(0, 0, 12);
    read(0, 0);
    read(1, 0);
    const int before = filler_.calls;
    read(0, 0);
    read(0, 2);
    EXPECT_EQ(filler_.calls, before);
    read(0, 1);
    EXPECT_EQ(filler_.calls, before + 1);
}

TEST_F(CoreCacheBudget, WhatIsInUseStays) {
    std::array<cw_cache_entry *, 14> held;
    for (u64 i = 0; i < held.size(); i++) {
        ASSERT_EQ(cw_cache_get(caches_[i % 2], 1, i, kLen, Filler::fill, &filler_, &held[i]), 0);
    }
    EXPECT_EQ(all(), 14U);
    read(2, 0);
    EXPECT_EQ(pages(2), 1U); /* the one that is being filled is in use, too */
    for (u64 i = 0; i < held.size(); i++) {
        cw_cache_put(caches_[i % 2], held[i]);
    }
    read(2, 1);
    EXPECT_EQ(all(), 12U);
}

TEST_F(CoreCacheBudget, CanBeChanged) {
    read_many(0, 0, 8);
    read_many(1, 0, 4);
    cw_cache_budget_set_limit(&budget_, 3 * kLen);
    EXPECT_LE(all(), 3U);
    cw_cache_budget_set_limit(&budget_, ~0ULL);
    read_many(2, 0, 12);
    EXPECT_EQ(pages(2), 12U);
}

TEST_F(CoreCacheBudget, WhoLeavesTakesItsBytesAlong) {
    read_many(1, 0, 12);
    cw_cache_destroy(caches_[1]);
    caches_[1] = nullptr;
    EXPECT_EQ(cw_atomic64_read(&budget_.bytes), 0);
    read_many(0, 0, 12);
    EXPECT_EQ(pages(0), 12U);
}

TEST_F(CoreCacheBudget, HoldsWithManyThreads) {
    std::vector<std::thread> threads;
    for (int i = 0; i < kCaches; i++) {
        threads.emplace_back([this, i] { read_many(i, 0, 3000); });
    }
    threads.emplace_back([this] {
        for (u64 i = 0; i < 1000; i++) {
            cw_cache_budget_set_limit(&budget_, kLimit - i % 4 * kLen);
        }
    });
    for (std::thread &thread : threads) {
        thread.join();
    }
    read(0, 5000);
    EXPECT_LE(all(), 12U);
}

/* Every call of many threads at once; TSan and ASan look on. */
TEST_F(CoreCache, SurvivesEverythingAtOnce) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned int id = 0; id < 4; id++) {
        threads.emplace_back([this, id, &wrong] {
            for (unsigned int i = 0; i < 2000; i++) {
                const u64 pos = (i * 7 + id) % 16;
                cw_cache_entry *entry;
                if (get(pos, &entry) == 0) {
                    wrong += entry->data[i % kLen] == pos ? 0 : 1;
                    cw_cache_put(cache_, entry);
                }
                if (i % 5 == 0) {
                    cw_cache_drop(cache_, owner_, (pos + 1) % 16);
                }
                if (i % 17 == 0) {
                    cw_cache_shrink(cache_, kLen);
                }
                if (i % 101 == 0) {
                    cw_cache_set_limit(cache_, (1 + i % 4) * kLen);
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(stats().bytes, cw_cache_evictable(cache_));
}

}  // namespace
}  // namespace cloopw::test
