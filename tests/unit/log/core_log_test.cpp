// SPDX-License-Identifier: GPL-2.0
/* The native COW log as a device shows it: what is written is read. */
#include <gtest/gtest.h>

#include "support/core_log_support.h"

namespace cloopw::test {
namespace {

/* Does one random thing to the device and to the model. */
void step(const LogDevice &device, Model *model, std::mt19937 *random) {
    const u64 max = std::min<u64>(model->size(), (*random)() % 8 == 0 ? 700000 : 40000);
    u64 len = 1 + (*random)() % max;
    u64 off = (*random)() % (model->size() - len + 1);
    if ((*random)() % 2 == 0) { /* whole pages, like a file system's */
        off &= ~u64{CW_PAGE_SIZE - 1};
        len = std::min(cw_round_up(len, CW_PAGE_SIZE), model->size() - off);
    }
    switch ((*random)() % 8) {
        case 0:
            ASSERT_EQ(device.zero(off, len), 0);
            model->zero(off, len);
            break;
        case 1:
            ASSERT_EQ(device.discard(off, len), 0);
            model->discard(off, len);
            break;
        case 2:
            ASSERT_EQ(device.flush(), 0);
            break;
        case 3: {
            ASSERT_EQ(device.read(off, static_cast<u32>(len)), model->bytes(off, len));
            break;
        }
        default: {
            const Bytes data = mixed_bytes(random, len);
            ASSERT_EQ(device.write(off, data), 0);
            model->write(off, data);
        }
    }
}

struct Shape {
    const char *codec;
    u64 size;
    bool clean; /* close before each open */
};

/* Ranges that the log does not hold show the base, and its zeros are zeros. */
void check_where(const LogDevice &device, const Bytes &base) {
    bool seen[3] = {};
    for (u64 off = 0, n = 0; off < base.size(); off += n) {
        int place = cw_device_block_status(device.get(), off, base.size() - off, &n);
        ASSERT_GE(place, 0);
        ASSERT_GT(n, 0u);
        seen[place] = true;
        const Bytes shown = device.read(off, static_cast<u32>(n));
        if (place == CW_COW_MISS) {
            ASSERT_EQ(shown, slice(base, off, n)) << off;
        } else if (place == CW_COW_ZERO) {
            ASSERT_EQ(shown, Bytes(n)) << off;
        }
    }
    if (base.size() > 1 << 20) {
        EXPECT_TRUE(seen[CW_COW_MISS] && seen[CW_COW_HIT] && seen[CW_COW_ZERO]);
    }
}

class CoreLogModel : public testing::TestWithParam<Shape> {};

TEST_P(CoreLogModel, HoldsWhatWasWrittenAcrossAttaches) {
    const Shape &shape = GetParam();
    Model model(text_bytes(shape.size));
    TestIo base("base.img", model.bytes());
    SparseIo cow("cow"), crashed("cow");
    SparseIo *now = &cow, *next = &crashed;
    make_log(now, log_config(shape.size, shape.codec));
    std::mt19937 random(1);
    for (unsigned int round = 0; round < 8; round++) {
        LogDevice device(base.get(), {now->get()});
        ASSERT_EQ(device.err(), 0) << device.why();
        ASSERT_EQ(device.read(0, static_cast<u32>(shape.size)), model.bytes()) << round;
        for (unsigned int i = 0; i < 120; i++) {
            ASSERT_NO_FATAL_FAILURE(step(device, &model, &random)) << round << "." << i;
        }
        ASSERT_EQ(device.read(0, static_cast<u32>(shape.size)), model.bytes()) << round;
        ASSERT_NO_FATAL_FAILURE(check_where(device, text_bytes(shape.size))) << round;
        if (shape.clean) {
            ASSERT_EQ(device.close(), 0);
        } else {
            next->copy_from(now);
            std::swap(now, next);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, CoreLogModel,
    testing::Values(Shape{"none", 8 << 20, true}, Shape{"lz4", 8 << 20, true},
                    Shape{"lz4hc", 3 << 20, true}, Shape{"zstd", 8 << 20, false},
                    Shape{"zlib", 3 << 20, false}, Shape{"lz4", 8 << 20, false},
                    Shape{"none", 5 << 20, false}, Shape{"lz4", (2 << 20) + 512, true},
                    Shape{"lz4", (5 << 20) + 3584, false}, Shape{"lz4", 512, true},
                    Shape{"none", 4096 + 512, false}),
    [](const testing::TestParamInfo<Shape> &info) {
        return std::string(info.param.codec) + "_" + std::to_string(info.param.size) +
               (info.param.clean ? "_closed" : "_killed");
    });

/* ---- the short ways ---- */

TEST(CoreLogLocate, WhatTheLogDoesNotHoldIsInARawBase) {
    const u64 size = 1 << 20;
    TestIo base("base.img", text_bytes(size));
    SparseIo cow("cow");
    make_log(&cow, log_config(size));
    LogDevice device(base.get(), {cow.get()});
    u64 pos = 0;
    ASSERT_EQ(cw_device_locate(device.get(), 4096, 8192, &pos), base.get());
    EXPECT_EQ(pos, 4096u);
    ASSERT_EQ(device.write(8192, text_bytes(4096)), 0);
    EXPECT_EQ(cw_device_locate(device.get(), 4096, 8192, &pos), nullptr);
    EXPECT_EQ(cw_device_locate(device.get(), 12288, 8192, &pos), base.get());
}

TEST(CoreLogLocate, AMapPageThatIsOnlyInTheFileTellsNothing) {
    const u64 size = 8 << 20; /* some map pages, each for 2 MiB */
    TestIo base("base.img", text_bytes(size));
    SparseIo cow("cow");
    make_log(&cow, log_config(size));
    { ASSERT_EQ(LogDevice(base.get(), {cow.get()}).write(0, text_bytes(4096)), 0); }
    LogDevice device(base.get(), {cow.get()});
    u64 pos = 0;
    EXPECT_EQ(cw_device_locate(device.get(), 8192, 4096, &pos), nullptr);
    EXPECT_EQ(cw_device_locate(device.get(), 6 << 20, 4096, &pos), base.get());
    EXPECT_EQ(device.read(0, 4096), text_bytes(4096)); /* which reads it */
    EXPECT_EQ(cw_device_locate(device.get(), 8192, 4096, &pos), base.get());
}

}  // namespace
}  // namespace cloopw::test
