// SPDX-License-Identifier: GPL-2.0
/* Many threads on one COW log; to be run under ThreadSanitizer, too. */
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;

/* Page after page of one number each, so that a reader sees a mixture. */
Bytes numbered(u64 page, u64 pages, u32 version) {
    Bytes bytes(pages * CW_PAGE_SIZE);
    u64 state = page + version;
    for (u64 i = 0; i < bytes.size(); i += sizeof(u64)) {
        state = state * 6364136223846793005 + 1442695040888963407;
        /* a half that differs in each word, so that some of it does not shrink */
        const u64 word = u64{version} << 32 | (version % 2 == 0 ? state >> 40 : 0);
        memcpy(&bytes[i], &word, sizeof(word));
    }
    return bytes;
}

bool is_one_version(const u8 *page) {
    u64 first;
    memcpy(&first, page, sizeof(first));
    for (size_t i = 0; i < CW_PAGE_SIZE; i += sizeof(u64)) {
        u64 word;
        memcpy(&word, page + i, sizeof(word));
        if (word >> 32 != first >> 32) {
            return false;
        }
    }
    return true;
}

struct Load {
    const char *name;
    u64 device;
    u64 limit;
    u32 ops; /* operations of each writer */
    const char *codec;
};

class CoreLogStress : public testing::TestWithParam<Load> {
protected:
    static constexpr u64 kWriters = 3;

    /* Writes, zeroes, discards and reads back its own share of the pages. */
    void write(const LogDevice &device, u64 thread) {
        const u64 share = GetParam().device / CW_PAGE_SIZE / kWriters;
        const u64 first = thread * share;
        std::mt19937_64 random(thread);
        std::vector<u32> versions(share);
        u32 version = 0;
        for (u32 i = 0; i < GetParam().ops; i++) {
            const u64 at = random() % (random() % 2 == 0 ? share : 1 + share / 16);
            const u64 pages = std::min<u64>(1 + random() % 24, share - at);
            const u64 off = (first + at) * CW_PAGE_SIZE;
            int err;
            u32 now = 0;
            switch (random() % 8) {
                case 0:
                    err = device.discard(off, pages * CW_PAGE_SIZE);
                    break;
                case 1:
                    err = device.zero(off, pages * CW_PAGE_SIZE);
                    break;
                default:
                    now = ++version;
                    err = device.write(off, numbered(first + at, pages, now));
            }
            if (err == -ENOSPC) {
                full_++;
                err = device.discard(first * CW_PAGE_SIZE, share / 2 * CW_PAGE_SIZE);
                std::fill_n(versions.begin(), share / 2, 0);
                /* Each page of it may be old or new. */
                for (u64 k = at; k < at + pages; k++) {
                    if (device.write((first + k) * CW_PAGE_SIZE,
                                     numbered(first + k, 1, ++version)) == 0) {
                        versions[k] = version;
                    } else {
                        versions[k] = ~0u; /* unknown */
                    }
                }
            } else if (err == 0) {
                std::fill_n(versions.begin() + static_cast<std::ptrdiff_t>(at), pages, now);
            }
            if (err != 0) {
                wrong_++;
                return;
            }
            check(device, first, versions, random() % share);
        }
        for (u64 i = 0; i < share; i++) {
            check(device, first, versions, i);
        }
    }

    void check(const LogDevice &device, u64 first, const std::vector<u32> &versions, u64 at) {
        const Bytes page = device.read((first + at) * CW_PAGE_SIZE, CW_PAGE_SIZE);
        u64 word = 0;
        if (page.size() != CW_PAGE_SIZE || !is_one_version(page.data())) {
            wrong_++;
            return;
        }
        memcpy(&word, page.data(), sizeof(word));
        if (versions[at] != ~0u && word >> 32 != versions[at]) {
            wrong_++;
        }
    }

    void read(const LogDevice &device, u64 seed) {
        std::mt19937_64 random(seed);
        while (!stop_) {
            const u64 page = random() % (GetParam().device / CW_PAGE_SIZE - 32);
            const Bytes bytes = device.read(page * CW_PAGE_SIZE, 32 * CW_PAGE_SIZE);
            if (bytes.empty()) {
                wrong_++;
            }
            for (u64 i = 0; i < bytes.size(); i += CW_PAGE_SIZE) {
                wrong_ += is_one_version(bytes.data() + i) ? 0 : 1;
            }
        }
    }

    void flush(const LogDevice &device) {
        while (!stop_) {
            wrong_ += device.flush() == 0 ? 0 : 1;
            (void)device.stat();
        }
    }

    std::atomic<bool> stop_ = false;
    std::atomic<u64> wrong_ = 0;
    std::atomic<u64> full_ = 0;
};

TEST_P(CoreLogStress, ReadersSeeWholePagesAndWritersTheirOwn) {
    SparseIo base("base", GetParam().device), cow("cow");
    LogCowConfig config = log_config(base.size(), GetParam().codec);
    config.limit = GetParam().limit;
    make_log(&cow, config);
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::vector<std::thread> writers, others;
    for (u64 i = 0; i < kWriters; i++) {
        writers.emplace_back([&, i] { write(device, i); });
    }
    others.emplace_back([&] { read(device, 100); });
    others.emplace_back([&] { read(device, 101); });
    others.emplace_back([&] { flush(device); });
    for (std::thread &thread : writers) {
        thread.join();
    }
    stop_ = true;
    for (std::thread &thread : others) {
        thread.join();
    }
    EXPECT_EQ(wrong_, 0u);
    if (GetParam().limit != 0) {
        EXPECT_LE(cow.size(), GetParam().limit);
    }
    const Bytes all = device.read(0, static_cast<u32>(base.size()));
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base.get(), {cow.get()});
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, static_cast<u32>(base.size())), all);
}

/*
 * Snapshots during writes, in logs that must be cleaned. A discarded page shows the layer
 * below, which has one of the writer's own versions.
 */
class CoreLogStressSnapshots : public testing::Test {
protected:
    static constexpr u64 kSize = 6 * kMiB;
    static constexpr u64 kWriters = 3;
    static constexpr u64 kShare = kSize / CW_PAGE_SIZE / kWriters;
    static constexpr u32 kSnapshots = 4;
    static constexpr u64 kWritesBetween = 400;

    /* Each thread knows the content of its pages, but for the discarded ones. */
    void write(const LogDevice &device, u64 thread) {
        const u64 first = thread * kShare;
        std::mt19937_64 random(thread);
        std::vector<std::optional<u32>> versions(kShare, 0u);
        for (u32 version = 1; !stop_; version++) {
            const u64 at = random() % kShare;
            const u64 pages = std::min<u64>(1 + random() % 24, kShare - at);
            const u64 off = (first + at) * CW_PAGE_SIZE;
            std::optional<u32> now = version;
            int err = 0;
            switch (random() % 8) {
                case 0:
                    err = device.discard(off, pages * CW_PAGE_SIZE);
                    now.reset();
                    break;
                case 1:
                    err = device.zero(off, pages * CW_PAGE_SIZE);
                    now = 0;
                    break;
                default:
                    err = device.write(off, numbered(first + at, pages, version));
            }
            wrong_ += err == 0 ? 0 : 1;
            std::fill_n(versions.begin() + static_cast<std::ptrdiff_t>(at), pages, now);
            const u64 other = random() % kShare;
            check(device, first + other, versions[other], version);
            writes_++;
        }
        for (u64 i = 0; i < kShare; i++) {
            check(device, first + i, versions[i], ~0u);
        }
    }

    void check(const LogDevice &device, u64 at, std::optional<u32> wanted, u32 most) {
        const Bytes page = device.read(at * CW_PAGE_SIZE, CW_PAGE_SIZE);
        u64 word = 0;
        if (page.empty() || !is_one_version(page.data())) {
            wrong_++;
            return;
        }
        memcpy(&word, page.data(), sizeof(word));
        wrong_ += wanted ? word >> 32 != *wanted : word >> 32 > most;
    }

    void read(const LogDevice &device, u64 seed) {
        std::mt19937_64 random(seed);
        while (!stop_) {
            const u64 page = random() % (kSize / CW_PAGE_SIZE - 32);
            const Bytes bytes = device.read(page * CW_PAGE_SIZE, 32 * CW_PAGE_SIZE);
            wrong_ += bytes.empty() ? 1 : 0;
            for (u64 i = 0; i < bytes.size(); i += CW_PAGE_SIZE) {
                wrong_ += is_one_version(bytes.data() + i) ? 0 : 1;
            }
            u64 n = 0;
            wrong_ += cw_device_block_status(device.get(), page * CW_PAGE_SIZE, kMiB / 8, &n) < 0;
        }
    }

    void flush(const LogDevice &device) {
        while (!stop_) {
            wrong_ += device.flush() == 0 ? 0 : 1;
            (void)device.stat();
            (void)device.space();
            cw_device_tend(device.get());
        }
    }

    /* Layer i of the chain, to be put over the one before. */
    SparseIo *add_log(u32 i) {
        LogCowConfig config = log_config(kSize, i % 2 == 0 ? "lz4" : "none");
        config.limit = i % 2 == 0 ? 0 : 16 * kMiB;
        config.uuid.fill(static_cast<u8>(100 + i));
        config.over_layer = i != 0;
        config.base_uuid.fill(static_cast<u8>(i));
        logs_.push_back(std::make_unique<SparseIo>("layer" + std::to_string(i)));
        make_log(logs_.back().get(), config);
        return logs_.back().get();
    }

    std::vector<cw_io *> chain() const {
        std::vector<cw_io *> ios;
        for (const auto &log : logs_) {
            ios.insert(ios.begin(), log->get());
        }
        return ios;
    }

    std::vector<std::unique_ptr<SparseIo>> logs_;
    std::atomic<bool> stop_ = false;
    std::atomic<u64> wrong_ = 0;
    std::atomic<u64> writes_ = 0;
};

TEST_F(CoreLogStressSnapshots, WithReadersWritersDiscardsAndTheCleaner) {
    SparseIo base("base", kSize);
    add_log(0);
    LogDevice device(base.get(), chain());
    ASSERT_EQ(device.err(), 0) << device.why();
    std::vector<std::thread> threads;
    for (u64 i = 0; i < kWriters; i++) {
        threads.emplace_back([&, i] { write(device, i); });
    }
    threads.emplace_back([&] { read(device, 100); });
    threads.emplace_back([&] { read(device, 101); });
    threads.emplace_back([&] { flush(device); });
    const auto wait = [&] {
        for (const u64 until = writes_ + kWritesBetween; writes_ < until;) {
            std::this_thread::yield();
        }
    };
    for (u32 i = 1; i <= kSnapshots; i++) {
        wait();
        cw_report report = {};
        EXPECT_EQ(cw_device_snapshot(device.get(), add_log(i)->get(), &report), 0) << report.text;
    }
    wait();
    stop_ = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong_, 0u);
    const Bytes all = device.read(0, kSize);
    ASSERT_EQ(device.close(), 0);
    LogDevice again(base.get(), chain());
    ASSERT_EQ(again.err(), 0) << again.why();
    EXPECT_EQ(again.read(0, kSize), all);
}

/*
 * Checkpoints at any time leave no writer without room, because there is more than twice
 * the live data.
 */
TEST(CoreLogStressCheckpoints, LeaveRoomForWriters) {
    constexpr u64 kSize = 24 * kMiB;
    SparseIo base("base", kSize), cow("cow");
    LogCowConfig config = log_config(kSize, "lz4");
    config.limit = 64 * kMiB;
    make_log(&cow, config);
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::atomic<bool> stop = false;
    std::atomic<u64> failed = 0;
    std::vector<std::thread> writers;
    for (u64 i = 0; i < 8; i++) {
        writers.emplace_back([&, i] {
            std::mt19937_64 random(i);
            for (u32 k = 0; k < 10000; k++) {
                const u64 page = random() % (kSize / CW_PAGE_SIZE);
                failed += device.write(page * CW_PAGE_SIZE, numbered(page, 1, 2 * k)) != 0;
            }
        });
    }
    std::thread checkpoints([&] {
        while (!stop) {
            (void)cw_device_checkpoint(device.get());
            cw_device_tend(device.get());
        }
    });
    for (std::thread &thread : writers) {
        thread.join();
    }
    stop = true;
    checkpoints.join();
    EXPECT_EQ(failed, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, CoreLogStress,
                         testing::Values(Load{"cleaned", 6 * kMiB, 0, 800, "none"},
                                         Load{"limited", 6 * kMiB, 15 * kMiB, 800, "lz4"},
                                         Load{"full", 12 * kMiB, 12 * kMiB, 600, "none"},
                                         Load{"wide", 1536 * kMiB, 0, 800, "lz4"}),
                         [](const testing::TestParamInfo<Load> &info) {
                             return std::string(info.param.name);
                         });

}  // namespace
}  // namespace cloopw::test
