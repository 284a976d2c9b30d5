// SPDX-License-Identifier: GPL-2.0
/* Devices that a COW log makes longer than the image. */
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/core_log_support.h"
#include "support/images.h"

extern "C" {
#include "log/log_record.h"
}

namespace cloopw::test {
namespace {

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kGiB = u64{1} << 30;
constexpr u64 kSize = 8 * kMiB;

u64 size_of(cw_device *device) {
    cw_device_info info;
    cw_device_get_info(device, &info);
    return info.size;
}

class CoreGrowth : public testing::Test {
protected:
    CoreGrowth() {
        base_.put(0, text_bytes(kSize));
        make_log(&cow_, log_config(kSize));
    }

    /* 0 or -errno; why_ has the reason. */
    int grow(const LogDevice &device, u64 size) {
        cw_report report = {};
        const int err = cw_device_resize(device.get(), size, &report);
        why_ = report.text;
        code_ = report.code;
        return err;
    }
    /* The message of an attach. */
    std::string refusal(SparseIo *base) {
        const LogDevice device(base->get(), {cow_.get()});
        return device.err() != 0 ? device.why() : "";
    }

    SparseIo base_{"base.img", kSize};
    SparseIo cow_{"top.cow"};
    std::string why_;
    u32 code_ = 0;
};

TEST_F(CoreGrowth, BehindTheOldEndAreZeros) {
    const LogDevice device(base_.get(), {cow_.get()});
    Bytes out;
    EXPECT_EQ(device.write(kSize, text_bytes(4096)), -EINVAL);
    ASSERT_EQ(grow(device, kGiB), 0) << why_;
    EXPECT_EQ(size_of(device.get()), kGiB);
    EXPECT_EQ(device.read(kSize, 1 << 20), Bytes(1 << 20));
    EXPECT_EQ(device.read(kGiB - 4096, 4096), Bytes(4096));
    Bytes across = slice(text_bytes(kSize), kSize - 4096, 4096);
    across.resize(8192);
    EXPECT_EQ(device.read(kSize - 4096, 8192), across);
    u64 n = 0;
    EXPECT_EQ(cw_device_is_zero(device.get(), kSize, kMiB, &n), 1);
    EXPECT_EQ(n, kMiB);
    EXPECT_EQ(device.write(kGiB, text_bytes(512)), -EINVAL);
}

TEST_F(CoreGrowth, DataThereIsKept) {
    Bytes data = text_bytes(kMiB, 3);
    {
        LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(grow(device, 3 * kGiB), 0) << why_;
        ASSERT_EQ(device.write(kSize + 100, data), 0);
        ASSERT_EQ(device.write(3 * kGiB - kMiB, data), 0);
        ASSERT_EQ(device.flush(), 0);
        EXPECT_EQ(device.read(kSize + 100, kMiB), data);
        ASSERT_EQ(device.close(), 0);
    }
    for (const bool read_only : {false, true}) {
        const LogDevice device(base_.get(), {cow_.get()}, read_only);
        ASSERT_EQ(device.err(), 0) << device.why();
        EXPECT_EQ(size_of(device.get()), 3 * kGiB);
        EXPECT_EQ(device.read(kSize + 100, kMiB), data);
        EXPECT_EQ(device.read(3 * kGiB - kMiB, kMiB), data);
        EXPECT_EQ(device.read(0, kSize), text_bytes(kSize));
    }
}

TEST_F(CoreGrowth, TheFileHasTheSizeBeforeTheDevice) {
    const LogDevice device(base_.get(), {cow_.get()});
    u32 flushes = 0;
    cow_.before_flush = [&] {
        EXPECT_EQ(size_of(device.get()), kSize);
        return flushes++, 0;
    };
    ASSERT_EQ(grow(device, 64 * kMiB), 0) << why_;
    EXPECT_GE(flushes, 2u); /* both copies of the superblock */
    cow_.before_flush = nullptr;
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        cw_disk_log_super super;
        const Bytes raw = cow_.bytes(slot * CW_LOG_SUPER_STRIDE, sizeof(super));
        memcpy(&super, raw.data(), sizeof(super));
        EXPECT_EQ(cw_from_le64(super.size), 64 * kMiB);
        EXPECT_EQ(cw_log_base_size(&super), kSize);
    }
}

TEST_F(CoreGrowth, GrowsAgainAndAgain) {
    const LogDevice device(base_.get(), {cow_.get()});
    u64 size = kSize;
    for (u32 i = 0; i < 20; i++) {
        size += size / 2 + 4096 - size / 2 % 4096;
        ASSERT_EQ(grow(device, size), 0) << why_;
        ASSERT_EQ(device.write(size - 4096, text_bytes(4096, i)), 0);
    }
    ASSERT_EQ(grow(device, size), 0) << "the size that it has";
    size = kSize;
    for (u32 i = 0; i < 20; i++) {
        size += size / 2 + 4096 - size / 2 % 4096;
        EXPECT_EQ(device.read(size - 4096, 4096), text_bytes(4096, i));
    }
}

TEST_F(CoreGrowth, TheLongestLogCanBeReached) {
    const LogDevice device(base_.get(), {cow_.get()});
    ASSERT_EQ(grow(device, CW_LOG_MAX_SIZE), 0) << why_;
    ASSERT_EQ(device.write(CW_LOG_MAX_SIZE - 4096, text_bytes(4096)), 0);
    ASSERT_EQ(cw_device_checkpoint(device.get()), 0);
    EXPECT_EQ(device.read(CW_LOG_MAX_SIZE - 4096, 4096), text_bytes(4096));
}

TEST_F(CoreGrowth, OtherSizesAreRefusedWithTheReason) {
    const LogDevice device(base_.get(), {cow_.get()});
    EXPECT_EQ(grow(device, kSize - 4096), -EINVAL);
    EXPECT_EQ(why_, "top.cow: the device has 8388608 bytes and cannot shrink to 8384512");
    EXPECT_EQ(code_, CLOOPW_R_SHRINK);
    EXPECT_EQ(grow(device, kSize + 512), -EINVAL);
    EXPECT_EQ(why_, "top.cow: 8389120 bytes are not a multiple of 4096");
    EXPECT_EQ(code_, CLOOPW_R_BAD_SIZE);
    EXPECT_EQ(grow(device, CW_LOG_MAX_SIZE + 4096), -EFBIG);
    EXPECT_EQ(why_,
              "top.cow: a COW file of format log covers up to 35184372088832 bytes, "
              "not 35184372092928");
    EXPECT_EQ(grow(device, ~u64{4095}), -EFBIG);
    EXPECT_EQ(size_of(device.get()), kSize);
}

TEST_F(CoreGrowth, OnlyAWritableLogGrows) {
    const LogDevice reader(base_.get(), {cow_.get()}, true);
    EXPECT_EQ(grow(reader, 2 * kSize), -EROFS);
    EXPECT_EQ(why_, "the device is read-only, so nothing can keep another size");
    const LogDevice bare(base_.get(), {});
    EXPECT_EQ(grow(bare, 2 * kSize), -EROFS);
    TestIo raw("raw", text_bytes(10240));
    UmlSpec spec;
    spec.size = 10240;
    TestIo uml("uml.cow", uml_cow(spec));
    const OpenDevice device(&raw, {&uml});
    cw_report report = {};
    EXPECT_EQ(cw_device_resize(device.get(), 20480, &report), -EOPNOTSUPP);
    EXPECT_STREQ(report.text, "uml.cow: a COW file of format uml cannot grow");
}

TEST_F(CoreGrowth, WithoutItsSuperblockItKeepsItsSize) {
    for (const u32 failing : {0u, 1u, 2u, 3u}) {
        make_log(&cow_, log_config(kSize));
        u32 writes = 0;
        {
            const LogDevice device(base_.get(), {cow_.get()});
            ASSERT_EQ(device.write(0, text_bytes(4096, 9)), 0);
            ASSERT_EQ(device.flush(), 0);
            cow_.before_write = [&](u64 off, size_t) {
                return off < CW_LOG_START && writes++ >= failing ? -ENOSPC : 0;
            };
            const int err = grow(device, 2 * kSize);
            cow_.before_write = nullptr;
            if (failing < 2) {
                EXPECT_EQ(err, -ENOSPC);
                EXPECT_EQ(why_, "top.cow: cannot grow (No space left on device)");
                EXPECT_EQ(size_of(device.get()), kSize);
                EXPECT_EQ(device.write(kSize, text_bytes(4096)), -EINVAL);
            } else {
                EXPECT_EQ(err, 0);
            }
            ASSERT_EQ(device.write(4096, text_bytes(4096, 9)), 0);
        }
        const LogDevice again(base_.get(), {cow_.get()});
        ASSERT_EQ(again.err(), 0) << again.why();
        EXPECT_EQ(again.read(4096, 4096), text_bytes(4096, 9));
    }
}

TEST_F(CoreGrowth, ThePageAtTheOldEndMayBeAPart) {
    constexpr u64 kOdd = kSize - 4096 + 512;
    SparseIo base("odd.img", kOdd);
    base.put(0, slice(text_bytes(kSize), 0, kOdd));
    make_log(&cow_, log_config(kOdd));
    const LogDevice device(base.get(), {cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    ASSERT_EQ(device.write(kOdd - 100, Bytes(100, 7)), 0);
    ASSERT_EQ(grow(device, 2 * kSize), 0) << why_;
    EXPECT_EQ(device.read(kOdd - 100, 100), Bytes(100, 7));
    EXPECT_EQ(device.read(kOdd, 8192), Bytes(8192));
    ASSERT_EQ(device.write(kOdd, Bytes(1000, 8)), 0);
    EXPECT_EQ(device.read(kOdd - 100, 100), Bytes(100, 7));
    EXPECT_EQ(device.read(kOdd, 1000), Bytes(1000, 8));
    EXPECT_EQ(device.read(kOdd + 1000, 4096), Bytes(4096));
}

TEST_F(CoreGrowth, ItStillBelongsToItsBase) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(grow(device, 2 * kSize), 0) << why_;
    }
    EXPECT_EQ(refusal(&base_), "");
    SparseIo longer("longer.img", 2 * kSize);
    EXPECT_EQ(refusal(&longer),
              "top.cow: was made for /images/base.img of 8388608 bytes, but longer.img has "
              "16777216");
}

TEST_F(CoreGrowth, ASizeBelowItsBaseIsDamage) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(grow(device, 2 * kSize), 0) << why_;
    }
    for (u32 slot = 0; slot < CW_LOG_SUPERS; slot++) {
        cw_disk_log_super super;
        const Bytes raw = cow_.bytes(slot * CW_LOG_SUPER_STRIDE, sizeof(super));
        memcpy(&super, raw.data(), sizeof(super));
        super.size = cw_to_le64(kMiB);
        super.crc = cw_to_le32(cw_log_super_crc(&super));
        const u8 *bytes = reinterpret_cast<const u8 *>(&super);
        cow_.put(slot * CW_LOG_SUPER_STRIDE, Bytes(bytes, bytes + sizeof(super)));
    }
    EXPECT_EQ(refusal(&base_), "top.cow: damaged: has a number that no log reaches");
}

/* ---- layers ---- */

class CoreGrowthOfLayers : public CoreGrowth {
protected:
    CoreGrowthOfLayers() {
        for (SparseIo *io : {&second_, &third_}) {
            LogCowConfig config = log_config(io == &second_ ? kSize : 4 * kSize);
            config.uuid.fill(io == &second_ ? 2 : 3);
            config.base_uuid.fill(io == &second_ ? 20 : 30);
            config.over_layer = true;
            make_log(io, config);
        }
    }
    static int snapshot(const LogDevice &device, SparseIo *io) {
        cw_report report = {};
        return cw_device_snapshot(device.get(), io->get(), &report);
    }

    SparseIo second_{"second.cow"};
    SparseIo third_{"third.cow"};
};

TEST_F(CoreGrowthOfLayers, ALayerMayBeLongerThanThoseBelow) {
    {
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(device.write(kSize - 8192, Bytes(8192, 1)), 0);
        ASSERT_EQ(snapshot(device, &second_), 0);
        ASSERT_EQ(grow(device, 4 * kSize), 0) << why_;
        EXPECT_EQ(device.read(kSize - 8192, 8192), Bytes(8192, 1));
        EXPECT_EQ(device.read(kSize, 8192), Bytes(8192));
        ASSERT_EQ(device.write(2 * kSize, Bytes(8192, 2)), 0);
        ASSERT_EQ(snapshot(device, &third_), 0);
        EXPECT_EQ(device.read(2 * kSize, 8192), Bytes(8192, 2));
        ASSERT_EQ(grow(device, 5 * kSize), 0) << why_;
        ASSERT_EQ(device.write(4 * kSize - 4096, Bytes(8192, 3)), 0);
    }
    const LogDevice device(base_.get(), {third_.get(), second_.get(), cow_.get()});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(size_of(device.get()), 5 * kSize);
    EXPECT_EQ(device.read(kSize - 8192, 8192), Bytes(8192, 1));
    EXPECT_EQ(device.read(2 * kSize, 8192), Bytes(8192, 2));
    EXPECT_EQ(device.read(4 * kSize - 4096, 8192), Bytes(8192, 3));
    u64 n = 0;
    EXPECT_EQ(cw_device_block_status(device.get(), kSize - 4096, kMiB, &n), CW_COW_HIT);
    EXPECT_EQ(n, 4096u);
    EXPECT_EQ(cw_device_block_status(device.get(), kSize, kMiB, &n), CW_COW_MISS);
    EXPECT_EQ(n, kMiB);
    ASSERT_EQ(device.discard(4 * kSize - 4096, 8192), 0);
    EXPECT_EQ(device.read(4 * kSize - 4096, 8192), Bytes(8192));
}

/* ---- in use, and in need ---- */

TEST_F(CoreGrowth, OthersReadAndWriteMeanwhile) {
    const LogDevice device(base_.get(), {cow_.get()});
    std::atomic<bool> done = false;
    std::vector<std::thread> threads;
    for (u32 t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            const u64 at = t * 2 * kMiB;
            for (u32 i = 0; !done || i < 20; i++) {
                ASSERT_EQ(device.write(at, text_bytes(65536, i)), 0);
                ASSERT_EQ(device.read(at, 65536), text_bytes(65536, i));
                ASSERT_EQ(i % 8 == 0 ? device.flush() : 0, 0);
            }
        });
    }
    for (u64 size = 2 * kSize; size <= 64 * kSize; size += kSize) {
        ASSERT_EQ(grow(device, size), 0) << why_;
        ASSERT_EQ(device.write(size - kSize, text_bytes(4096)), 0);
    }
    done = true;
    for (std::thread &thread : threads) {
        thread.join();
    }
}

TEST_F(CoreGrowth, AFullLogGivesSpaceBackStill) {
    for (const u64 limit : {9 * kMiB, 10 * kMiB, 11 * kMiB}) {
        make_log(&cow_, log_config(kSize));
        const LogDevice device(base_.get(), {cow_.get()});
        ASSERT_EQ(cw_device_set_limit(device.get(), limit), 0);
        u64 off = 0;
        while (off < kSize && device.write(off, random_bytes(65536, off >> 16)) == 0) {
            off += 65536;
        }
        const int err = grow(device, kGiB);
        EXPECT_TRUE(err == 0 || err == -ENOSPC) << err;
        EXPECT_EQ(size_of(device.get()), err == 0 ? kGiB : kSize);
        EXPECT_EQ(device.read(0, 65536), random_bytes(65536, 0));
        ASSERT_EQ(device.discard(kMiB, kSize - kMiB), 0);
        ASSERT_EQ(device.write(kMiB, text_bytes(kMiB)), 0);
        EXPECT_EQ(device.read(kMiB, kMiB), text_bytes(kMiB));
    }
}

}  // namespace
}  // namespace cloopw::test
