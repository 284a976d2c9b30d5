// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "lib/cloopw.h"
#include "support/hooks.h"

namespace cloopw::test {
namespace {

using Recorder = std::unique_ptr<cw_recorder, CDeleter<cw_recorder_destroy>>;

std::vector<u64> blocks_of(cw_recorder *recorder) {
    std::vector<u64> blocks;
    std::vector<cw_first_read> some(100);
    while (const u32 n = cw_recorder_get(recorder, blocks.size(), 100, some.data())) {
        for (u32 i = 0; i < n; i++) {
            blocks.push_back(some[i].block);
        }
    }
    return blocks;
}

TEST(CoreRecorder, KeepsTheFirstReadOfEachBlock) {
    const Recorder recorder(cw_recorder_create(UINT64_MAX));
    std::vector<u64> wanted;
    std::set<u64> seen;
    std::mt19937_64 random(1);
    for (int n = 0; n < 20000; n++) {
        const u64 block = random() % 5000 * (u64{1} << (random() % 40));
        cw_recorder_note(recorder.get(), block);
        if (seen.insert(block).second) {
            wanted.push_back(block);
        }
    }
    EXPECT_EQ(blocks_of(recorder.get()), wanted);
}

/* Blocks of an image are few, or many more than it keeps. */
TEST(CoreRecorder, KeepsAsManyAsItSays) {
    for (const u64 blocks : {u64{0}, u64{1}, u64{2}, u64{3}, u64{1000}, u64{1} << 40}) {
        const Recorder recorder(cw_recorder_create(blocks));
        const u64 most = std::min<u64>(blocks, CW_RECORDER_MOST);
        for (u64 n = 0; n < most + 10; n++) {
            cw_recorder_note(recorder.get(), n * 4096);
        }
        EXPECT_EQ(blocks_of(recorder.get()).size(), most);
    }
}

TEST(CoreRecorder, TimesOnlyGrow) {
    const Recorder recorder(cw_recorder_create(100));
    cw_recorder_note(recorder.get(), 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    cw_recorder_note(recorder.get(), 2);
    std::array<cw_first_read, 2> reads = {};
    ASSERT_EQ(cw_recorder_get(recorder.get(), 0, 2, reads.data()), 2u);
    EXPECT_GE(reads[1].ms, reads[0].ms + 2);
}

TEST(CoreRecorder, ThreadsLoseNothing) {
    const Recorder recorder(cw_recorder_create(UINT64_MAX));
    std::vector<std::thread> threads;
    for (u64 thread = 0; thread < 4; thread++) {
        threads.emplace_back([&, thread] {
            for (u64 n = 0; n < 5000; n++) {
                cw_recorder_note(recorder.get(), n * 2 + thread % 2);
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    const std::vector<u64> blocks = blocks_of(recorder.get());
    EXPECT_EQ(std::set<u64>(blocks.begin(), blocks.end()).size(), 10000u);
    EXPECT_EQ(blocks.size(), 10000u);
}

TEST(CoreRecorder, NoMemoryNoRecorder) {
    for (unsigned int n = 0; n < 3; n++) {
        const FailAllocations fail(nth_allocation(n));
        EXPECT_EQ(cw_recorder_create(100), nullptr);
    }
}

}  // namespace
}  // namespace cloopw::test
