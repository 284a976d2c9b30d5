// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

Bytes pattern(size_t len, int byte) { return Bytes(len, static_cast<u8>(byte)); }

/* A base of any format, COW layers over it. */
class Stack {
public:
    Stack(const Bytes &plain, u32 layers, u32 sector_size = 512)
        : base("base", native_image(plain, 8192, cw_codec_lz4)) {
        UmlSpec spec;
        spec.size = plain.size();
        spec.sector_size = sector_size;
        for (u32 i = 0; i < layers; i++) {
            cows.push_back(std::make_unique<TestIo>("cow" + std::to_string(i), uml_cow(spec)));
        }
    }

    /* The layers from first on, the top first. */
    std::vector<TestIo *> from(size_t first) const {
        std::vector<TestIo *> layers;
        for (size_t i = first; i < cows.size(); i++) {
            layers.push_back(cows[i].get());
        }
        return layers;
    }

    TestIo base;
    std::vector<std::unique_ptr<TestIo>> cows; /* the top first */
};

/* ---- hints of reads ---- */

TEST(CoreDevice, WhatALayerHoldsIsNotFetchedFromTheBase) {
    Stack stack(text_bytes(8 * 8192), 1);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(2 * 8192, pattern(2 * 8192, 1)), 0);
    cw_device_will_read(device.get(), 8192, 4 * 8192);
    OpenImage image(&stack.base);
    cw_extent before;
    cw_extent after;
    ASSERT_EQ(cw_image_locate(image.get(), 1, &before), 0);
    ASSERT_EQ(cw_image_locate(image.get(), 4, &after), 0);
    EXPECT_EQ(stack.base.hints(), (std::vector<TestIo::Range>{{before.offset, before.stored},
                                                              {after.offset, after.stored}}));
}

TEST(CoreDevice, OutsideNothingWillBeRead) {
    Stack stack(text_bytes(8192), 1);
    OpenDevice device(&stack.base, stack.from(0));
    cw_device_will_read(device.get(), 8192, 512);
    cw_device_will_read(device.get(), UINT64_MAX, 512);
    EXPECT_EQ(stack.base.hints(), std::vector<TestIo::Range>());
}

/* ---- opening ---- */

TEST(CoreDevice, SizeIsRoundedUpToSectors) {
    Stack stack(text_bytes(10000), 0);
    EXPECT_EQ(OpenDevice(&stack.base, {}).size(), 10240u);
}

TEST(CoreDevice, ThePartOfTheLastSectorBehindTheImageIsZeros) {
    Stack stack(text_bytes(10000), 0);
    OpenDevice device(&stack.base, {});
    Bytes expected = text_bytes(10000);
    expected.resize(10240);
    EXPECT_EQ(device.contents(), expected);
}

TEST(CoreDevice, ThePartOfTheLastSectorBehindTheImageKeepsWhatIsWritten) {
    Stack stack(text_bytes(10000), 1);
    {
        OpenDevice device(&stack.base, stack.from(0));
        ASSERT_EQ(device.write(10200, pattern(40, 7)), 0);
    }
    Bytes out;
    ASSERT_EQ(OpenDevice(&stack.base, stack.from(0)).read(10200, 40, &out), 0);
    EXPECT_EQ(out, pattern(40, 7));
}

TEST(CoreDevice, ARawBaseIsResizedEitherWay) {
    TestIo base("base", text_bytes(10000));
    OpenDevice device(&base, {});
    base.set_content(text_bytes(30000));
    cw_report report = {};
    ASSERT_EQ(cw_device_resize(device.get(), 0, &report), 0) << report.text;
    EXPECT_EQ(device.size(), 30208u);
    Bytes out;
    ASSERT_EQ(device.read(0, 30208, &out), 0);
    Bytes expected = text_bytes(30000);
    expected.resize(30208);
    EXPECT_EQ(out, expected);
    base.set_content(text_bytes(512));
    ASSERT_EQ(cw_device_resize(device.get(), 0, &report), 0) << report.text;
    EXPECT_EQ(device.read(512, 512, &out), -EINVAL);
}

TEST(CoreDevice, WhatWasMadeForASizeIsNotResized) {
    Stack stack(text_bytes(10240), 1);
    cw_report report = {};
    OpenDevice compressed(&stack.base, {});
    EXPECT_EQ(cw_device_resize(compressed.get(), 0, &report), -EOPNOTSUPP);
    EXPECT_STREQ(report.text, "base: a cloopw image has the size it was made with");
    report = {};
    OpenDevice layered(&stack.base, stack.from(0));
    EXPECT_EQ(cw_device_resize(layered.get(), 0, &report), -EOPNOTSUPP);
    EXPECT_STREQ(
        report.text,
        "cow0: was made for a device of 10240 bytes, and takes no other size from the image");
    report = {};
    TestIo raw("raw", text_bytes(512));
    OpenDevice emptied(&raw, {});
    raw.set_content({});
    EXPECT_EQ(cw_device_resize(emptied.get(), 0, &report), -EINVAL);
    EXPECT_STREQ(report.text, "raw: is empty");
    EXPECT_EQ(emptied.size(), 512u);
}

TEST(CoreDevice, ACheckpointIsAFlush) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(0, pattern(512, 7)), 0);
    EXPECT_EQ(cw_device_checkpoint(device.get()), 0);
    stack.cows[0]->before_flush = [] { return -EIO; };
    ASSERT_EQ(device.write(1024, pattern(512, 7)), 0);
    EXPECT_EQ(cw_device_checkpoint(device.get()), -EIO);
    OpenDevice reader(&stack.base, {});
    EXPECT_EQ(cw_device_checkpoint(reader.get()), 0);
}

TEST(CoreDevice, ALayerThatIsRefusedRefusesTheDevice) {
    Stack stack(text_bytes(10240), 3);
    stack.cows[1]->set_content(Bytes(100));
    OpenDevice device(&stack.base, stack.from(0));
    EXPECT_EQ(device.err(), -EINVAL);
    EXPECT_EQ(device.get(), nullptr);
    EXPECT_EQ(device.why(), "cow1: is no COW file of a known format");
}

TEST(CoreDevice, TooManyLayersAreRefused) {
    Stack stack(text_bytes(10240), CW_MAX_LAYERS + 1);
    OpenDevice device(&stack.base, stack.from(0));
    EXPECT_EQ(device.err(), -EINVAL);
    EXPECT_EQ(device.why(), "65 COW layers are more than 64");
}

TEST(CoreDevice, AsManyLayersAsThereMayBeAreRead) {
    Stack stack(text_bytes(10240), CW_MAX_LAYERS);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.contents(), text_bytes(10240));
}

TEST(CoreDevice, ABaseThatIsRefusedRefusesTheDevice) {
    TestIo empty("empty");
    OpenDevice device(&empty, {});
    EXPECT_EQ(device.err(), -EINVAL);
    EXPECT_EQ(device.why(), "empty: is empty");
}

TEST(CoreDevice, InfoTellsLayersByName) {
    Stack stack(text_bytes(10240), 2);
    OpenDevice device(&stack.base, stack.from(0));
    EXPECT_STREQ(cw_device_layer_name(device.get(), 0), "cow0");
    EXPECT_STREQ(cw_device_layer_name(device.get(), 1), "cow1");
    EXPECT_STREQ(cw_device_layer_format(device.get(), 0), "uml");
}

TEST(CoreDevice, ClosingNoneIsFine) { EXPECT_EQ(cw_device_close(nullptr), 0); }

/* ---- read-only ---- */

class CoreDeviceReadOnly : public testing::TestWithParam<u32> {};

TEST_P(CoreDeviceReadOnly, TakesNoWrites) {
    Stack stack(text_bytes(10240), GetParam());
    OpenDevice device(&stack.base, stack.from(0), {.read_only = true});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.write(0, pattern(512, 1)), -EROFS);
    EXPECT_EQ(cw_device_zero(device.get(), 0, 512), -EROFS);
    EXPECT_EQ(cw_device_discard(device.get(), 0, 512), -EROFS);
}

TEST_P(CoreDeviceReadOnly, IsRead) {
    Stack stack(text_bytes(10240), GetParam());
    OpenDevice device(&stack.base, stack.from(0), {.read_only = true});
    EXPECT_EQ(device.contents(), text_bytes(10240));
}

TEST_P(CoreDeviceReadOnly, FlushesAndClosesWithoutError) {
    Stack stack(text_bytes(10240), GetParam());
    OpenDevice device(&stack.base, stack.from(0), {.read_only = true});
    EXPECT_EQ(cw_device_flush(device.get()), 0);
    EXPECT_EQ(device.close(), 0);
}

INSTANTIATE_TEST_SUITE_P(Layers, CoreDeviceReadOnly, testing::Values(0u, 2u),
                         testing::PrintToStringParamName());

TEST(CoreDevice, WithoutALayerItIsReadOnly) {
    Stack stack(text_bytes(10240), 0);
    OpenDevice device(&stack.base, {});
    EXPECT_EQ(device.write(0, pattern(512, 1)), -EROFS);
}

/* ---- ranges ---- */

TEST(CoreDevice, RangesOutsideAreRefused) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    Bytes out;
    for (const u64 off : {10240ull, 9729ull, 1ull << 62, ~0ull, ~0ull - 511}) {
        EXPECT_EQ(device.read(off, 512, &out), -EINVAL) << off;
        EXPECT_EQ(device.write(off, pattern(512, 1)), -EINVAL) << off;
        EXPECT_EQ(cw_device_zero(device.get(), off, 512), -EINVAL) << off;
        EXPECT_EQ(cw_device_discard(device.get(), off, 512), -EINVAL) << off;
    }
    EXPECT_EQ(cw_device_zero(device.get(), 1, ~0ull), -EINVAL);
}

TEST(CoreDevice, RangesOfNoBytesAreFine) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    Bytes out;
    EXPECT_EQ(device.read(10240, 0, &out), 0);
    EXPECT_EQ(device.write(10240, {}), 0);
    EXPECT_EQ(cw_device_zero(device.get(), 10240, 0), 0);
    EXPECT_EQ(device.contents(), text_bytes(10240));
}

TEST(CoreDevice, AFormatThatCannotDiscardSaysSo) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    cw_device_info info;
    cw_device_get_info(device.get(), &info);
    EXPECT_FALSE(info.can_discard);
    EXPECT_EQ(cw_device_discard(device.get(), 0, 4096), -EOPNOTSUPP);
}

/* The file handle of a server that is gone, until it is back. */
TEST(CoreDevice, ABaseThatGoesStaleFailsItsOwnReadsAlone) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(0, pattern(512, 7)), 0);
    stack.base.before_read = [](u64, size_t) { return -ESTALE; };
    Bytes out;
    EXPECT_LT(device.read(512, 512, &out), 0);
    EXPECT_EQ(device.read(0, 512, &out), 0);
    EXPECT_EQ(out, pattern(512, 7));
    EXPECT_EQ(device.write(1024, pattern(512, 8)), 0);
    EXPECT_EQ(cw_device_flush(device.get()), 0);
    stack.base.before_read = nullptr;
    Bytes expected = text_bytes(10240);
    std::ranges::copy(pattern(512, 7), expected.begin());
    std::ranges::copy(pattern(512, 8), expected.begin() + 1024);
    EXPECT_EQ(device.contents(), expected);
}

/* ---- layers ---- */

TEST(CoreDevice, TheTopmostLayerThatHoldsASectorShows) {
    const Bytes plain = text_bytes(10240);
    Stack stack(plain, 3);
    for (size_t top = 3; top-- > 0;) { /* layer n writes sectors 0..n, fill n+1 */
        OpenDevice device(&stack.base, stack.from(top));
        ASSERT_EQ(device.write(0, pattern((top + 1) * 512, static_cast<int>(top) + 1)), 0);
    }
    const Bytes shown = OpenDevice(&stack.base, stack.from(0)).contents();
    EXPECT_EQ(shown[0], 1);
    EXPECT_EQ(shown[512], 2);
    EXPECT_EQ(shown[1024], 3);
    EXPECT_EQ(shown[1536], plain[1536]);
}

TEST(CoreDevice, WhereTellsWhoHoldsARange) {
    Stack stack(text_bytes(40 * 4096), 2);
    { EXPECT_EQ(OpenDevice(&stack.base, stack.from(1)).write(4 * 512, Bytes(512, 1)), 0); }
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(6 * 512, Bytes(1024, 2)), 0);
    auto where = [&](u64 off, u64 len) {
        u64 n = 0;
        int place = cw_device_block_status(device.get(), off, len, &n);
        return std::make_pair(place, n);
    };
    EXPECT_EQ(where(0, 40 * 4096), std::make_pair(int{CW_COW_MISS}, u64{4 * 512}));
    EXPECT_EQ(where(4 * 512, 4096), std::make_pair(int{CW_COW_HIT}, u64{512}));
    EXPECT_EQ(where(4 * 512 + 100, 100), std::make_pair(int{CW_COW_HIT}, u64{100}));
    EXPECT_EQ(where(5 * 512 + 1, 4096), std::make_pair(int{CW_COW_MISS}, u64{511}));
    EXPECT_EQ(where(6 * 512, 4096), std::make_pair(int{CW_COW_HIT}, u64{1024}));
    EXPECT_EQ(where(8 * 512, 36 * 4096), std::make_pair(int{CW_COW_MISS}, u64{36 * 4096}));
    EXPECT_EQ(where(0, 0).first, -EINVAL);
    EXPECT_EQ(where(0, 40 * 4096 + 1).first, -EINVAL);
}

TEST(CoreDevice, LayersBelowTheTopAreNotWritten) {
    Stack stack(text_bytes(10240), 2);
    stack.cows[1]->start_recording();
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(100, pattern(5000, 1)), 0);
    ASSERT_EQ(device.close(), 0);
    EXPECT_TRUE(stack.cows[1]->calls().empty());
}

/* ---- errors ---- */

/* ---- the short ways ---- */

TEST(CoreDeviceLocate, ARawBaseIsWhereItIs) {
    TestIo base("base", text_bytes(10000));
    OpenDevice device(&base, {});
    u64 pos = 0;
    EXPECT_EQ(cw_device_locate(device.get(), 512, 4096, &pos), base.get());
    EXPECT_EQ(pos, 512u);
}

TEST(CoreDeviceLocate, WhatIsBehindARawBaseIsNowhere) {
    TestIo base("base", text_bytes(10000)); /* the device has 10240 bytes */
    OpenDevice device(&base, {});
    u64 pos;
    EXPECT_EQ(cw_device_locate(device.get(), 9728, 512, &pos), nullptr);
    EXPECT_EQ(cw_device_locate(device.get(), 1 << 20, 512, &pos), nullptr);
}

TEST(CoreDeviceLocate, ACompressedBaseIsNowhere) {
    Stack stack(text_bytes(10240), 0);
    u64 pos;
    EXPECT_EQ(cw_device_locate(OpenDevice(&stack.base, {}).get(), 0, 512, &pos), nullptr);
}

/* A raw base of four sectors and a COW file in which the second is written. */
class CoreDeviceLocateCow : public testing::Test {
protected:
    CoreDeviceLocateCow() {
        UmlSpec spec;
        spec.size = 2048;
        cow_ = std::make_unique<TestIo>("cow", uml_cow(spec));
        device_ = std::make_unique<OpenDevice>(&base_, std::vector<TestIo *>{cow_.get()});
        EXPECT_EQ(device_->write(512, pattern(512, 7)), 0);
    }

    TestIo base_{"base", text_bytes(2048)};
    std::unique_ptr<TestIo> cow_;
    std::unique_ptr<OpenDevice> device_;
    u64 pos_ = 0;
};

TEST_F(CoreDeviceLocateCow, WhatWasWrittenIsInItsFile) {
    ASSERT_EQ(cw_device_locate(device_->get(), 512, 512, &pos_), cow_->get());
    Bytes out(512);
    ASSERT_EQ(cw_pread(cow_->get(), out.data(), out.size(), pos_), 0);
    EXPECT_EQ(out, pattern(512, 7));
}

TEST_F(CoreDeviceLocateCow, WhatWasNotIsInTheBase) {
    ASSERT_EQ(cw_device_locate(device_->get(), 1024, 1024, &pos_), base_.get());
    EXPECT_EQ(pos_, 1024u);
}

TEST_F(CoreDeviceLocateCow, WhatIsInBothIsInNeither) {
    EXPECT_EQ(cw_device_locate(device_->get(), 0, 1024, &pos_), nullptr);
    EXPECT_EQ(cw_device_locate(device_->get(), 512, 1024, &pos_), nullptr);
}

TEST_F(CoreDeviceLocateCow, ABitmapThatWasNotReadTellsNothing) {
    ASSERT_EQ(cw_device_flush(device_->get()), 0);
    device_.reset();
    OpenDevice fresh(&base_, {cow_.get()});
    EXPECT_EQ(cw_device_locate(fresh.get(), 512, 512, &pos_), nullptr);
}

TEST_F(CoreDeviceLocateCow, WhatIsPlacedIsSeenWhenThatIsSaid) {
    ASSERT_EQ(cw_device_place(device_->get(), 1024, 512, &pos_), cow_->get());
    const Bytes before = device_->contents();
    ASSERT_EQ(cw_pwrite(cow_->get(), pattern(512, 9).data(), 512, pos_), 0);
    EXPECT_EQ(device_->contents(), before);
    cw_device_placed(device_->get(), 1024, 512);
    Bytes out;
    ASSERT_EQ(device_->read(1024, 512, &out), 0);
    EXPECT_EQ(out, pattern(512, 9));
}

TEST_F(CoreDeviceLocateCow, APartOfASectorHasNoPlace) {
    EXPECT_EQ(cw_device_place(device_->get(), 1000, 512, &pos_), nullptr);
    EXPECT_EQ(cw_device_place(device_->get(), 1024, 100, &pos_), nullptr);
    EXPECT_EQ(cw_device_place(device_->get(), 2048, 512, &pos_), nullptr);
}

TEST(CoreDevicePlace, NothingIsPlacedWhereGranulesArePutTogether) {
    Stack stack(text_bytes(16384), 1, 4096);
    u64 pos;
    OpenDevice device(&stack.base, stack.from(0));
    EXPECT_EQ(cw_device_place(device.get(), 4096, 4096, &pos), nullptr);
}

TEST(CoreDevicePlace, NothingIsPlacedOnWhatIsReadOnly) {
    Stack stack(text_bytes(16384), 1);
    u64 pos;
    OpenDevice device(&stack.base, {});
    EXPECT_EQ(cw_device_place(device.get(), 4096, 4096, &pos), nullptr);
}

TEST(CoreDeviceReadCached, GivesWhatWasReadBefore) {
    const Bytes plain = text_bytes(20000);
    Stack stack(plain, 1);
    OpenDevice device(&stack.base, stack.from(0));
    Bytes out(100);
    EXPECT_EQ(cw_device_read_cached(device.get(), 8190, 100, out.data()), -EAGAIN);
    ASSERT_EQ(device.read(8000, 1000, &out), 0);
    out.resize(100);
    ASSERT_EQ(cw_device_read_cached(device.get(), 8190, 100, out.data()), 0);
    EXPECT_EQ(out, Bytes(plain.begin() + 8190, plain.begin() + 8290));
}

TEST(CoreDeviceReadCached, GivesNothingThatALayerHolds) {
    Stack stack(text_bytes(20000), 1);
    OpenDevice device(&stack.base, stack.from(0));
    Bytes out;
    ASSERT_EQ(device.read(100, 1000, &out), 0);
    ASSERT_EQ(device.write(512, pattern(512, 7)), 0);
    EXPECT_EQ(cw_device_read_cached(device.get(), 512, 512, out.data()), -EAGAIN);
    EXPECT_EQ(cw_device_read_cached(device.get(), 1024, 512, out.data()), 0);
}

TEST(CoreDeviceReadCached, GivesNothingBehindTheImage) {
    Stack stack(text_bytes(10000), 0);
    OpenDevice device(&stack.base, {});
    Bytes out;
    ASSERT_EQ(device.read(9000, 1240, &out), 0);
    EXPECT_EQ(cw_device_read_cached(device.get(), 9728, 512, out.data()), -EAGAIN);
}

TEST(CoreDevice, ErrorsAreCounted) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    stack.cows[0]->before_write = [](u64, size_t) { return -ENOSPC; };
    stack.cows[0]->before_read = [](u64, size_t) { return -EIO; };
    Bytes out;
    EXPECT_EQ(device.read(0, 512, &out), -EIO);
    stack.cows[0]->before_read = nullptr;
    EXPECT_EQ(device.write(0, pattern(512, 1)), -ENOSPC);
    EXPECT_EQ(cw_device_zero(device.get(), 0, 512), -ENOSPC);
    cw_device_stats stats;
    cw_device_get_stats(device.get(), &stats);
    EXPECT_EQ(stats.read_errors, 1u);
    EXPECT_EQ(stats.write_errors, 2u);
}

/* A part of a granule cannot be put together when the rest cannot be read. */
TEST(CoreDevice, APartialWriteOverADamagedBlockFails) {
    NativeBuilder bad(16384, 8192);
    bad.add(0, text_bytes(8192), cw_codec_lz4);
    bad.refs[0].crc = cw_to_le32(0);
    UmlSpec spec;
    spec.size = 16384;
    TestIo base("base", bad.finish()), cow("cow", uml_cow(spec));
    CaptureLog log;
    OpenDevice device(&base, {&cow});
    EXPECT_EQ(device.write(100, pattern(10, 1)), -EIO);
}

TEST(CoreDevice, AWholeWriteHealsADamagedBlock) {
    NativeBuilder bad(16384, 8192);
    bad.add(0, text_bytes(8192), cw_codec_lz4);
    bad.refs[0].crc = cw_to_le32(0);
    UmlSpec spec;
    spec.size = 16384;
    TestIo base("base", bad.finish()), cow("cow", uml_cow(spec));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(0, pattern(8192, 1)), 0);
    Bytes out;
    ASSERT_EQ(device.read(0, 8192, &out), 0);
    EXPECT_EQ(out, pattern(8192, 1));
}

TEST(CoreDevice, CloseReturnsWhatItsFlushDid) {
    Stack stack(text_bytes(10240), 1);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.write(0, pattern(512, 1)), 0);
    stack.cows[0]->before_flush = [] { return -EIO; };
    EXPECT_EQ(device.close(), -EIO);
}

/* ---- against a model ---- */

struct ModelCase {
    u32 layers;
    u32 sector_size;
    u64 size;
};

class CoreDeviceModel : public testing::TestWithParam<ModelCase> {
protected:
    /* Any alignment, and from one byte to several regions of 64 KiB. */
    void pick(u64 *off, u64 *len) {
        *off = random_() % model_.size();
        *len = random_() % (u64{1} << random_() % 19);
        if (random_() % 3 == 0) {
            *off &= ~u64{511};
            *len &= ~u64{511};
        }
        if (random_() % 10 == 0) {
            *off &= ~u64{65535};
            *len = 200000;
        }
        *len = std::min<u64>(*len, model_.size() - *off);
    }

    void step(OpenDevice *device, unsigned int i) {
        u64 off, len;
        pick(&off, &len);
        Bytes bytes;
        switch (random_() % 4) {
            case 0:
                ASSERT_EQ(cw_device_zero(device->get(), off, len), 0);
                memset(model_.data() + off, 0, len);
                break;
            case 1:
                bytes = text_bytes(len, i);
                ASSERT_EQ(device->write(off, bytes), 0);
                apply_write(&model_, off, bytes.data(), len);
                break;
            default:
                ASSERT_EQ(device->read(off, static_cast<u32>(len), &bytes), 0);
                ASSERT_EQ(bytes, slice(model_, off, len)) << off << "+" << len;
        }
    }

    std::mt19937 random_{1};
    Bytes model_;
};

TEST_P(CoreDeviceModel, ShowsWhatWasWrittenLast) {
    const ModelCase &param = GetParam();
    Stack stack(text_bytes(param.size), param.layers, param.sector_size);
    model_ = text_bytes(param.size);
    model_.resize(cw_round_up(param.size, 512));
    for (size_t top = param.layers; top-- > 0;) {
        OpenDevice device(&stack.base, stack.from(top), {.cache_bytes = 65536});
        ASSERT_EQ(device.err(), 0) << device.why();
        for (unsigned int i = 0; i < 300; i++) {
            step(&device, i);
            ASSERT_FALSE(HasFatalFailure());
        }
        ASSERT_EQ(device.contents(), model_);
    }
    EXPECT_EQ(OpenDevice(&stack.base, stack.from(0)).contents(), model_);
}

INSTANTIATE_TEST_SUITE_P(All, CoreDeviceModel,
                         testing::Values(ModelCase{1, 512, 1000000}, ModelCase{1, 4096, 1000000},
                                         ModelCase{1, 1024, 524288}, ModelCase{3, 512, 1000448},
                                         ModelCase{3, 4096, 999999}, ModelCase{1, 4096, 5000}),
                         [](const auto &info) {
                             return std::to_string(info.param.layers) + "_layers_of_" +
                                    std::to_string(info.param.sector_size) + "_over_" +
                                    std::to_string(info.param.size);
                         });

/* ---- many at once; run this under ThreadSanitizer as well ---- */

/*
 * Threads own interleaved parts of each granule, so that every write has a
 * neighbour being written: a lost one shows in the end. One thread flushes,
 * one reads all the time.
 */
TEST(CoreDeviceThreads, PartsOfOneGranuleAreNotLost) {
    constexpr u32 kThreads = 4, kPart = 96, kRounds = 30;
    const u64 size = u64{kThreads} * kPart * 512;
    Stack stack(text_bytes(size), 1, 4096);
    OpenDevice device(&stack.base, stack.from(0));
    ASSERT_EQ(device.err(), 0) << device.why();
    std::atomic<int> failed{0};
    std::atomic<bool> over{false};
    std::vector<std::thread> writers;
    for (u32 id = 0; id < kThreads; id++) {
        writers.emplace_back([&, id] {
            for (u32 round = 0; round < kRounds; round++) {
                for (u64 off = u64{id} * kPart; off < size; off += u64{kThreads} * kPart) {
                    failed += device.write(off, pattern(kPart, static_cast<int>(id + 1))) != 0;
                }
            }
        });
    }
    std::thread flusher([&] {
        while (!over) {
            failed += cw_device_flush(device.get()) != 0;
        }
    });
    std::thread reader([&] {
        while (!over) {
            failed += device.contents().empty();
        }
    });
    for (std::thread &writer : writers) {
        writer.join();
    }
    over = true;
    flusher.join();
    reader.join();
    EXPECT_EQ(failed, 0);
    Bytes expected(size);
    for (u64 i = 0; i < size; i++) {
        expected[i] = static_cast<u8>(1 + i / kPart % kThreads);
    }
    EXPECT_EQ(device.contents(), expected);
}

/* Overlapping calls of all kinds: no errors, no sector of two minds. */
TEST(CoreDeviceThreads, OverlappingWritesLeaveWholeSectors) {
    constexpr u64 kSize = 300000;
    Stack stack(pattern(kSize, 0), 1);
    OpenDevice device(&stack.base, stack.from(0));
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (u32 id = 1; id <= 4; id++) {
        threads.emplace_back([&, id] {
            std::mt19937 random(id);
            for (int i = 0; i < 150; i++) {
                const u64 off = random() % (kSize - 80000) & ~u64{511};
                const u64 len = 512 + (random() % 80000 & ~u64{511});
                if (random() % 4 == 0) {
                    failed += cw_device_zero(device.get(), off, len) != 0;
                } else {
                    failed += device.write(off, pattern(len, static_cast<int>(id))) != 0;
                }
            }
        });
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(failed, 0);
    const Bytes shown = device.contents();
    for (u64 off = 0; off + 512 <= shown.size(); off += 512) {
        ASSERT_EQ(slice(shown, off, 512), pattern(512, shown[off])) << off;
    }
}

/* A zeroing of many regions and writes of parts in them, both must win. */
TEST(CoreDeviceThreads, ZeroingManyRegionsDoesNotUndoPartsOfGranules) {
    constexpr u64 kSize = 8 * 65536;
    for (int round = 0; round < 20; round++) {
        Stack stack(pattern(kSize, 9), 1, 4096);
        OpenDevice device(&stack.base, stack.from(0));
        std::thread zero([&] { EXPECT_EQ(cw_device_zero(device.get(), 0, kSize), 0); });
        for (u64 off = 0; off < kSize; off += 65536) {
            EXPECT_EQ(device.write(off + 1, pattern(1, 7)), 0);
        }
        zero.join();
        const Bytes shown = device.contents();
        for (u64 off = 0; off < kSize; off++) {
            const bool written = off % 65536 == 1;
            ASSERT_TRUE(shown[off] == 0 || (written && shown[off] == 7)) << off;
        }
    }
}

}  // namespace
}  // namespace cloopw::test
