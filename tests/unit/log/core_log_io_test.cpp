// SPDX-License-Identifier: GPL-2.0
/* The I/O of the native COW log: how often, where and how much. */
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <thread>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

constexpr u64 kSize = u64{16} << 20;
constexpr u32 kExtent = 64 << 10;
constexpr u64 kUnit = 512;

TEST(CoreLogIo, AFlushIsOneFlushOfTheFileAndWritesNothing) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize));
    const LogDevice device(base.get(), {cow.get()});
    for (unsigned int i = 0; i < 20; i++) {
        ASSERT_EQ(device.write(u64{i} * kExtent, text_bytes(8192, i)), 0);
        const u64 writes = cow.writes;
        const u64 flushes = cow.flushes;
        ASSERT_EQ(device.flush(), 0);
        EXPECT_EQ(cow.writes, writes);
        EXPECT_EQ(cow.flushes, flushes + 1);
    }
}

/* That all of these threads wait for something, seen twice: none is on its way. */
void wait_until_all_sleep(const std::vector<std::atomic<pid_t>> &threads) {
    auto sleeps = [](pid_t id) {
        std::ifstream file("/proc/self/task/" + std::to_string(id) + "/stat");
        std::string line;
        std::getline(file, line);
        return line.find(") S ") != std::string::npos;
    };
    for (int seen = 0; seen < 2;) {
        const bool all = std::all_of(threads.begin(), threads.end(), sleeps);
        seen = all ? seen + 1 : 0;
        std::this_thread::yield();
    }
}

TEST(CoreLogIo, FlushesAtOnceShareOne) {
    constexpr unsigned int kThreads = 16;
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize));
    const LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.write(0, text_bytes(4096, 1)), 0);
    std::mutex lock;
    std::condition_variable changed;
    bool busy = false;
    bool go = false;
    cow.before_flush = [&] {
        std::unique_lock<std::mutex> hold(lock);
        busy = true;
        changed.notify_all();
        changed.wait(hold, [&] { return go; });
        return 0;
    };
    std::vector<std::thread> threads;
    std::vector<std::atomic<pid_t>> ids(kThreads);
    std::atomic<unsigned int> failed = 0;
    auto flush = [&](unsigned int i) {
        ids[i] = gettid();
        failed += device.flush() != 0;
    };
    const u64 before = cow.flushes;
    threads.emplace_back(flush, 0);
    {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait(hold, [&] { return busy; });
    }
    /* The running flush does not cover these writes, so all of them need one more. */
    ASSERT_EQ(device.write(0, text_bytes(4096, 2)), 0);
    for (unsigned int i = 1; i < kThreads; i++) {
        threads.emplace_back(flush, i);
    }
    wait_until_all_sleep(ids);
    {
        const std::lock_guard<std::mutex> hold(lock);
        go = true;
    }
    changed.notify_all();
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0u);
    EXPECT_GE(cow.flushes, before + 2);
    /* A thread that was seen asleep at another lock may have a flush of its own. */
    EXPECT_LE(cow.flushes, before + kThreads / 4);
}

TEST(CoreLogIo, OnePageOfAnExtentWithoutCodecIsReadAlone) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize, "none"));
    const Bytes data = random_bytes(kExtent, 1);
    {
        LogDevice device(base.get(), {cow.get()});
        ASSERT_EQ(device.write(0, data), 0);
        ASSERT_EQ(device.close(), 0);
    }
    const LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.read(0, CW_PAGE_SIZE), slice(data, 0, CW_PAGE_SIZE)); /* the map, too */
    /* And its checksum, which is in the record's header. */
    for (const u64 page : {5, 15, 1}) {
        const u64 before = cow.bytes_read;
        const u64 off = page * CW_PAGE_SIZE;
        ASSERT_EQ(device.read(off, CW_PAGE_SIZE), slice(data, off, CW_PAGE_SIZE));
        EXPECT_LE(cow.bytes_read, before + CW_PAGE_SIZE + kUnit);
    }
}

TEST(CoreLogIo, ExtentsArePackedAt512Bytes) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize));
    std::vector<std::pair<u64, u64>> appended; /* offset, length */
    cow.before_write = [&](u64 off, size_t len) {
        appended.emplace_back(off, len);
        return 0;
    };
    const LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.write(0, text_bytes(CW_PAGE_SIZE, 1)), 0); /* begins a segment */
    appended.clear();
    /* A page of one character in 64: stored, it is far below 1 KiB. */
    Bytes page(CW_PAGE_SIZE, 'a');
    for (unsigned int i = 0; i < 64; i++) {
        page[i * 64] = static_cast<u8>(i);
        ASSERT_EQ(device.write(u64{i} * 2 * CW_PAGE_SIZE, page), 0);
    }
    ASSERT_EQ(appended.size(), 64u);
    for (size_t i = 0; i < appended.size(); i++) {
        EXPECT_EQ(appended[i].first % kUnit, 0u);
        EXPECT_LE(appended[i].second, 2 * kUnit);
        if (i != 0) {
            EXPECT_EQ(appended[i].first, appended[i - 1].first + appended[i - 1].second);
        }
    }
}

TEST(CoreLogIo, PagesOfZerosAreNotStored) {
    SparseIo base("base", kSize), cow("cow");
    make_log(&cow, log_config(kSize, "none"));
    u64 bytes = 0;
    cow.before_write = [&](u64, size_t len) {
        bytes += len;
        return 0;
    };
    const LogDevice device(base.get(), {cow.get()});
    Bytes data(kExtent);
    data[5 * CW_PAGE_SIZE] = 1;
    ASSERT_EQ(device.write(kExtent, data), 0); /* begins a segment */
    bytes = 0;
    ASSERT_EQ(device.write(0, data), 0);
    EXPECT_GE(bytes, CW_PAGE_SIZE);
    EXPECT_LE(bytes, CW_PAGE_SIZE + kUnit);
    EXPECT_EQ(device.read(0, kExtent), data);
}

}  // namespace
}  // namespace cloopw::test
