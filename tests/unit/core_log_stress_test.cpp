// SPDX-License-Identifier: GPL-2.0
/* Many threads on one COW log; to be run under ThreadSanitizer, too. */
#include <gtest/gtest.h>

#include <thread>

#include "core_log_support.h"

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
    u32 ops; /* of each writer */
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
