// SPDX-License-Identifier: GPL-2.0
/* Requests go on when there is no memory but what was taken at the attach and what they need. */
#include <gtest/gtest.h>

#include <thread>

#include "support/core_log_support.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;

class CoreMemory : public testing::Test {
protected:
    /* Parts of sectors' runs, so that granules are put together. */
    void work(const LogDevice &device, Model *model, int ops) {
        for (int i = 0; i < ops; i++) {
            const u64 off = random_() % (model->size() / 512 - 256) * 512;
            const u32 len = static_cast<u32>(1 + random_() % 255) * 512;
            switch (random_() % 6) {
                case 0:
                    ASSERT_EQ(device.zero(off, len), 0);
                    model->zero(off, len);
                    break;
                case 1:
                    if (discards_) {
                        ASSERT_EQ(device.discard(off, len), 0);
                        model->discard(off, len);
                    }
                    break;
                case 2:
                    ASSERT_EQ(device.flush(), 0);
                    break;
                default: {
                    const Bytes bytes = mixed_bytes(&random_, len);
                    ASSERT_EQ(device.write(off, bytes), 0);
                    model->write(off, bytes);
                }
            }
            const u64 at = random_() % (model->size() / 512 - 8) * 512;
            ASSERT_EQ(device.read(at, 2048), model->bytes(at, 2048)) << at;
        }
    }

    /* All that is written without memory is there, then and after another attach. */
    void holds(cw_io *base, cw_io *cow, const Bytes &plain) {
        Model model(plain);
        {
            LogDevice device(base, {cow});
            ASSERT_EQ(device.err(), 0) << device.why();
            NoSpareMemory none;
            work(device, &model, 400);
            for (u64 off = 0; off < plain.size(); off += kMiB) {
                ASSERT_EQ(device.read(off, kMiB), model.bytes(off, kMiB)) << off;
            }
            ASSERT_EQ(device.close(), 0);
        }
        LogDevice device(base, {cow});
        NoSpareMemory none;
        for (u64 off = 0; off < plain.size(); off += kMiB) {
            ASSERT_EQ(device.read(off, kMiB), model.bytes(off, kMiB)) << off;
        }
    }

    std::mt19937 random_{1};
    bool discards_ = true;
};

TEST_F(CoreMemory, ALogOverACompressedImage) {
    const Bytes plain = text_bytes(16 * kMiB);
    TestIo base("base", native_image(plain, 65536, *cw_codec_by_name("lz4")));
    for (const char *codec : {"zstd", "lz4", "none"}) {
        SparseIo cow("cow");
        make_log(&cow, log_config(plain.size(), codec));
        holds(base.get(), cow.get(), plain);
    }
}

TEST_F(CoreMemory, AUmlCow) {
    const Bytes plain = random_bytes(4 * kMiB);
    TestIo base("base", plain);
    for (const u32 sector : {512U, 4096U}) {
        UmlSpec spec;
        spec.size = plain.size();
        spec.sector_size = sector;
        TestIo cow("cow", uml_cow(spec));
        discards_ = false;
        holds(base.get(), cow.get(), plain);
    }
}

/* More of the map than may stay in memory, and more segments than there was room for. */
TEST_F(CoreMemory, AMapThatDoesNotFit) {
    constexpr u64 kPages = 1100; /* pages of the map, each for 2 MiB of the device */
    constexpr u64 kSize = kPages * 2 * kMiB;
    SparseIo base("base"), cow("cow");
    base.truncate(kSize);
    make_log(&cow, log_config(kSize, "none"));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    NoSpareMemory none;
    for (u64 i = 0; i < kPages; i++) {
        ASSERT_EQ(device.write(i * 2 * kMiB, random_bytes(65536, i)), 0) << i;
    }
    ASSERT_EQ(device.flush(), 0);
    EXPECT_GT(device.stat().total_bytes, 64 * kMiB);
    for (u64 i = 0; i < kPages; i++) {
        ASSERT_EQ(device.read(i * 2 * kMiB, 65536), random_bytes(65536, i)) << i;
    }
}

/* The one granule that is kept is for one at a time. */
TEST_F(CoreMemory, PartsOfGranulesByManyThreads) {
    constexpr u64 kThreads = 4;
    const Bytes plain = random_bytes(kThreads * kMiB);
    TestIo base("base", plain);
    SparseIo cow("cow");
    make_log(&cow, log_config(plain.size()));
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    NoSpareMemory none;
    Model model(plain);
    std::vector<std::thread> threads;
    std::atomic<int> failed = 0;
    for (u64 i = 0; i < kThreads; i++) {
        for (u64 n = 0; n < 300; n++) {
            const u64 off = i * kMiB + n * 3072;
            model.write(off, Bytes(512, static_cast<u8>(n + i)));
        }
        threads.emplace_back([&device, &failed, i] {
            for (u64 n = 0; n < 300; n++) {
                const u64 off = i * kMiB + n * 3072;
                failed += device.write(off, Bytes(512, static_cast<u8>(n + i))) != 0;
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(device.read(0, static_cast<u32>(plain.size())), model.bytes());
}

/*
 * In a program a needed allocation may fail. That is an error without damage, and the next
 * call works.
 */
TEST_F(CoreMemory, WhatIsNeededAndNotThereIsAnError) {
    const Bytes plain = text_bytes(16 * kMiB);
    TestIo base("base", native_image(plain, 65536, *cw_codec_by_name("lz4")));
    SparseIo cow("cow");
    make_log(&cow, log_config(plain.size()));
    Model model(plain);
    LogDevice device(base.get(), {cow.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    {
        FailAllocations fail([](size_t) { return true; });
        EXPECT_EQ(device.write(0, random_bytes(65536)), -ENOMEM);
        EXPECT_EQ(device.read(4096, 4096), model.bytes(4096, 4096));
    }
    work(device, &model, 100);
    EXPECT_EQ(device.close(), 0);
}

}  // namespace
}  // namespace cloopw::test
