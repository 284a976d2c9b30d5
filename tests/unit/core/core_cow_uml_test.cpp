// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"
#include "support/process.h"

namespace cloopw::test {
namespace {

constexpr u32 kSector = 512;
constexpr u64 kPageCovers = u64{CW_PAGE_SIZE} * 8 * kSector; /* 16 MiB */

Bytes pattern(size_t len, int byte) { return Bytes(len, static_cast<u8>(byte)); }

class CoreUml : public testing::Test {
protected:
    CoreUml() { spec_.size = plain_.size(); }

    bool bit(const Bytes &cow, u64 sector) const {
        return (cow[uml_bitmap_offset(spec_) + sector / 8] >> sector % 8 & 1) != 0;
    }

    /* The refusal's code; CLOOPW_R_NONE when it opened. text: without the file's name. */
    unsigned int refusal(const Bytes &cow, s64 base_mtime = 0, std::string *text = nullptr) const {
        TestIo base("base.img", plain_, base_mtime), io("x.cow", cow);
        OpenDevice device(&base, {&io});
        if (device.err() == 0) {
            return CLOOPW_R_NONE;
        }
        EXPECT_LT(device.err(), 0);
        EXPECT_EQ(device.get(), nullptr);
        EXPECT_EQ(device.why().rfind("x.cow: ", 0), 0u) << device.why();
        if (text != nullptr) {
            *text = device.why().substr(std::min<size_t>(7, device.why().size()));
        }
        return device.code();
    }
    std::string text_of(const Bytes &cow, s64 base_mtime = 0) const {
        std::string text;
        refusal(cow, base_mtime, &text);
        return text;
    }
    /* With another number at this place of the header. */
    Bytes cow_with(size_t at, u32 value) const {
        Bytes cow = uml_cow(spec_);
        put_be32(&cow, at, value);
        return cow;
    }
    Bytes cow_of_size(u64 size) const {
        Bytes cow = uml_cow(spec_);
        put_be64(&cow, 12, size);
        return cow;
    }
    Bytes cow_of_endless_name() const {
        Bytes cow = uml_cow(spec_);
        memset(cow.data() + 32, 'x', CW_UML_PATH_LEN);
        return cow;
    }

    Bytes plain_ = text_bytes(100 * kSector);
    UmlSpec spec_;
};

/* ---- with the real tools ---- */

class CoreUmlTools : public testing::Test {
protected:
    void make(const Bytes &plain) {
        write_file(dir_.path("base"), plain);
        ASSERT_EQ(run({"uml_mkcow", dir_.path("cow"), dir_.path("base")}), 0);
    }
    s64 mtime() const { return mtime_of(dir_.path("base")); }

    TempDir dir_;
};

TEST_F(CoreUmlTools, WhatUmlMkcowMakesIsOpened) {
    const Bytes plain = text_bytes(1 << 20);
    make(plain);
    TestIo base("base", plain, mtime()), cow("cow", read_file(dir_.path("cow")));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.contents(), plain);
}

/* Shows that the other tests' UmlSpec makes real files. */
TEST_F(CoreUmlTools, TheTestsMakeWhatUmlMkcowMakes) {
    make(text_bytes(1 << 20));
    UmlSpec spec;
    spec.size = 1 << 20;
    spec.mtime = static_cast<u32>(mtime());
    spec.base = dir_.path("base");
    EXPECT_EQ(uml_cow(spec), read_file(dir_.path("cow")));
}

TEST_F(CoreUmlTools, UmlMooMergesWhatTheEngineWrote) {
    const Bytes plain = text_bytes(20 << 20);
    make(plain);
    TestIo base("base", plain, mtime()), cow("cow", read_file(dir_.path("cow")));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.err(), 0) << device.why();
    std::mt19937 random(1);
    for (unsigned int i = 0; i < 200; i++) {
        const u64 off = random() % (plain.size() - 30000);
        ASSERT_EQ(device.write(off, text_bytes(1 + random() % 30000, i)), 0);
    }
    const Bytes shown = device.contents();
    ASSERT_EQ(device.close(), 0);
    write_file(dir_.path("cow"), cow.content());
    ASSERT_EQ(run({"uml_moo", "-b", dir_.path("base"), dir_.path("cow"), dir_.path("merged")}), 0);
    EXPECT_EQ(read_file(dir_.path("merged")), shown);
}

/* ---- the header ---- */

TEST_F(CoreUml, GranularityIsTheSectorSize) {
    spec_.sector_size = 4096;
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.err(), 0) << device.why();
    cw_device_info info;
    cw_device_get_info(device.get(), &info);
    EXPECT_EQ(info.granularity, 4096u);
}

TEST_F(CoreUml, EveryTruncationIsRefused) {
    const Bytes cow = uml_cow(spec_);
    for (size_t len = 4; len < cow.size(); len += 61) {
        EXPECT_EQ(refusal(slice(cow, 0, len)), CLOOPW_R_TRUNCATED) << len;
    }
    EXPECT_EQ(refusal(slice(cow, 0, cow.size() - 1)), CLOOPW_R_TRUNCATED);
}

TEST_F(CoreUml, AnEmptyFileIsRefused) { EXPECT_EQ(refusal({}), CLOOPW_R_EMPTY); }

TEST_F(CoreUml, AFileWithoutAMagicIsRefused) {
    EXPECT_EQ(refusal(Bytes(100000)), CLOOPW_R_NOT_A_COW);
    EXPECT_EQ(refusal(Bytes(3, 0x4f)), CLOOPW_R_NOT_A_COW);
}

TEST_F(CoreUml, OtherVersionsAreRefused) {
    for (const u32 version : {0u, 4u, 9u, 0xffffffffu}) {
        EXPECT_EQ(refusal(cow_with(4, version)), CLOOPW_R_NEWER) << version;
    }
}

TEST_F(CoreUml, OtherFormatsThanABitmapAreRefused) {
    EXPECT_EQ(refusal(cow_with(28, 1)), CLOOPW_R_NEWER);
}

TEST_F(CoreUml, BadSectorSizesAreRefused) {
    for (const u32 size : {0u, 1u, 256u, 513u, 768u, 8192u, 1u << 31, 0xffffffffu}) {
        EXPECT_EQ(refusal(cow_with(20, size)), CLOOPW_R_IMPOSSIBLE) << size;
    }
}

TEST_F(CoreUml, BadAlignmentsAreRefused) {
    for (const u32 alignment : {0u, (1u << 30) + 1, 0xffffffffu}) {
        EXPECT_EQ(refusal(cow_with(24, alignment)), CLOOPW_R_IMPOSSIBLE) << alignment;
    }
}

TEST_F(CoreUml, AnAlignmentThatPutsTheDataBehindTheFileIsRefused) {
    EXPECT_EQ(refusal(cow_with(24, 1u << 30)), CLOOPW_R_TRUNCATED);
}

TEST_F(CoreUml, AlignmentsNeedNotBePowersOfTwo) {
    for (const u32 alignment : {1u, 512u, 1000u, 5000u}) {
        spec_.alignment = alignment;
        TestIo base("base", plain_), cow("cow", uml_cow(spec_));
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.err(), 0) << device.why();
        ASSERT_EQ(device.write(3 * kSector, pattern(kSector, 1)), 0);
        ASSERT_EQ(device.close(), 0);
        const u64 at = uml_data_offset(spec_) + 3 * kSector;
        EXPECT_EQ(slice(cow.content(), at, kSector), pattern(kSector, 1)) << alignment;
        EXPECT_TRUE(bit(cow.content(), 3)) << alignment;
    }
}

TEST_F(CoreUml, ANameWithoutAnEndIsRefused) {
    EXPECT_EQ(refusal(cow_of_endless_name()), CLOOPW_R_DAMAGED);
}

TEST_F(CoreUml, ABaseOfAnotherSizeIsRefused) {
    for (const u64 size : {51200 + 512ull, 0ull, 1ull << 62, 1ull << 63, ~0ull - 511, ~0ull}) {
        EXPECT_EQ(refusal(cow_of_size(size)), CLOOPW_R_OTHER_BASE) << size;
    }
}

TEST_F(CoreUml, ABaseThatWasModifiedIsRefused) {
    spec_.mtime = 1000;
    EXPECT_EQ(refusal(uml_cow(spec_), 2000), CLOOPW_R_BASE_MODIFIED);
}

TEST_F(CoreUml, RefusalsSayWhatIsWrong) {
    spec_.mtime = 1000;
    const Bytes cow = uml_cow(spec_);
    const std::pair<Bytes, std::string> texts[] = {
        {{}, "is empty, no COW file"},
        {Bytes(100000), "is no COW file of a known format"},
        {slice(cow, 0, 40), "truncated: no whole UML COW header"},
        {slice(cow, 0, cow.size() - 1), "truncated: needs " + std::to_string(cow.size()) +
                                            " bytes, the file has " +
                                            std::to_string(cow.size() - 1)},
        {cow_with(4, 0xffffffff),
         "UML COW file of version 4294967295; only versions 1 to 3 are known"},
        {cow_with(28, 1), "UML COW format 1 is not known"},
        {cow_with(20, 513), "sector size 513 is no power of two within 512..4096"},
        {cow_with(24, 0), "an alignment of 0 bytes is not possible"},
        {cow_of_endless_name(), "the name of its base has no end"},
        {cow_of_size(~u64{0}),
         "was made for base of 18446744073709551615 bytes, but base.img has 51200"},
    };
    for (const auto &[file, text] : texts) {
        EXPECT_EQ(text_of(file), text);
    }
    EXPECT_EQ(text_of(cow, 2000),
              "was made for base as modified at 1000, but base.img was modified at 2000; if it was "
              "only copied, 'touch -d @1000' makes it as it was");
}

TEST_F(CoreUml, ABaseOfUnknownModificationTimeIsTaken) {
    spec_.mtime = 1000;
    EXPECT_EQ(refusal(uml_cow(spec_), 0), CLOOPW_R_NONE);
}

TEST_F(CoreUml, TimesAreComparedInThe32BitsTheHeaderHas) {
    spec_.mtime = 5;
    EXPECT_EQ(refusal(uml_cow(spec_), (1ll << 32) + 5), CLOOPW_R_NONE);
    spec_.mtime = static_cast<u32>(-5);
    EXPECT_EQ(refusal(uml_cow(spec_), -5), CLOOPW_R_NONE);
}

TEST_F(CoreUml, TheSizeOfABaseThatIsNotWholeSectorsFits) {
    plain_.resize(51200 - 100);
    spec_.size = plain_.size();
    EXPECT_EQ(refusal(uml_cow(spec_)), CLOOPW_R_NONE);
}

/* Leaves nothing behind: LeakSanitizer looks on. */
TEST_F(CoreUml, OpenFailsCleanlyWhereverMemoryEnds) {
    TestIo base("base", plain_), io("cow", uml_cow(spec_));
    int err = -ENOMEM;
    unsigned int n = 0;
    for (; err != 0 && n < 50; n++) {
        FailAllocations fail(nth_allocation(n));
        OpenDevice device(&base, {&io});
        err = device.err();
        EXPECT_TRUE(err == 0 || err == -ENOMEM) << err;
    }
    EXPECT_GT(n, 8u);
    EXPECT_EQ(err, 0);
}

/* ---- older headers ---- */

struct OldHeader {
    const char *name;
    int version;
    bool padded;
    bool little;
};

class CoreUmlOld : public testing::TestWithParam<OldHeader> {
protected:
    CoreUmlOld() {
        spec_.size = plain_.size();
        spec_.version = GetParam().version;
        spec_.padded = GetParam().padded;
        spec_.little = GetParam().little;
        cow_ = uml_cow(spec_);
        for (const u64 sector : {0, 7, 8, 63, 98, 99}) {
            hold(sector);
        }
    }

    /* The file and the expected content get this sector. */
    void hold(u64 sector) {
        const Bytes data = random_bytes(kSector, static_cast<unsigned int>(sector));
        cow_[uml_bitmap_offset(spec_) + sector / 8] |= static_cast<u8>(1u << sector % 8);
        std::copy(data.begin(), data.end(),
                  cow_.data() + uml_data_offset(spec_) + sector * kSector);
        std::copy(data.begin(), data.end(), merged_.data() + sector * kSector);
    }

    Bytes plain_ = text_bytes(100 * kSector);
    Bytes merged_ = plain_;
    UmlSpec spec_;
    Bytes cow_;
};

INSTANTIATE_TEST_SUITE_P(Headers, CoreUmlOld,
                         testing::Values(OldHeader{"V1Little", 1, false, true},
                                         OldHeader{"V1Big", 1, false, false},
                                         OldHeader{"V2", 2, false, false},
                                         OldHeader{"V3Padded", 3, true, false}),
                         [](const auto &info) { return info.param.name; });

TEST_P(CoreUmlOld, IsRead) {
    TestIo base("base", plain_), cow("cow", cow_);
    OpenDevice device(&base, {&cow}, {.read_only = true});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.contents(), merged_);
}

TEST_P(CoreUmlOld, IsWrittenOrSaysThatItCannotBe) {
    TestIo base("base", plain_), cow("x.cow", cow_);
    OpenDevice device(&base, {&cow});
    if (GetParam().version < 3) {
        EXPECT_EQ(device.err(), -EROFS);
        EXPECT_EQ(device.why(), "x.cow: UML COW file of version " +
                                    std::to_string(GetParam().version) +
                                    " can be read, not written; attach it read-only");
        return;
    }
    ASSERT_EQ(device.write(20 * kSector, pattern(kSector, 1)), 0);
    ASSERT_EQ(device.close(), 0);
    EXPECT_EQ(slice(cow.content(), uml_data_offset(spec_) + 20 * kSector, kSector),
              pattern(kSector, 1));
    EXPECT_EQ(cow.content()[uml_bitmap_offset(spec_) + 2], 1u << 4);
}

TEST_P(CoreUmlOld, EveryTruncationIsRefused) {
    for (size_t len = 4; len < cow_.size(); len += 61) {
        TestIo base("base", plain_), cow("x.cow", slice(cow_, 0, len));
        OpenDevice device(&base, {&cow}, {.read_only = true});
        EXPECT_EQ(device.err(), -EINVAL) << len;
        EXPECT_EQ(device.code(), CLOOPW_R_TRUNCATED) << device.why();
    }
}

TEST_P(CoreUmlOld, AnotherBaseIsRefused) {
    spec_.mtime = 1000;
    TestIo base("base.img", plain_, 2000), cow("x.cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow}, {.read_only = true});
    EXPECT_EQ(device.why(),
              "x.cow: was made for base as modified at 1000, but base.img was modified at 2000; if "
              "it was only copied, 'touch -d @1000' makes it as it was");
}

TEST_P(CoreUmlOld, ANameWithoutAnEndIsRefused) {
    spec_.base = std::string(spec_.version == 1 ? 256 : spec_.padded ? 4100 : 4096, 'x');
    TestIo base("base", plain_), cow("x.cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow}, {.read_only = true});
    EXPECT_EQ(device.why(), "x.cow: the name of its base has no end");
}

/* Its bitmap ends where the data begins: the sectors without a bit are the base's. */
TEST(CoreUmlRounding, SectorsBehindTheBitmapOfVersion2AreTheBases) {
    const Bytes plain = text_bytes((8 * 488 + 4) * kSector);
    UmlSpec spec;
    spec.size = plain.size();
    spec.version = 2;
    ASSERT_EQ(uml_bitmap_offset(spec) + 488, uml_data_offset(spec));
    TestIo base("base", plain), cow("cow", uml_cow(spec));
    OpenDevice device(&base, {&cow}, {.read_only = true});
    ASSERT_EQ(device.err(), 0) << device.why();
    EXPECT_EQ(device.contents(), plain);
}

/* ---- bytes in the file ---- */

TEST_F(CoreUml, DataIsAtItsSectorsPlace) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(7 * kSector, pattern(2 * kSector, 1)), 0);
    EXPECT_EQ(slice(cow.content(), uml_data_offset(spec_) + 7 * kSector, 2 * kSector),
              pattern(2 * kSector, 1));
}

TEST_F(CoreUml, BitsAreWrittenByFlushAndNoneTooMany) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(7 * kSector, pattern(2 * kSector, 1)), 0);
    EXPECT_FALSE(bit(cow.content(), 7));
    ASSERT_EQ(cw_device_flush(device.get()), 0);
    const Bytes file = cow.content();
    for (u64 sector = 0; sector < 100; sector++) {
        EXPECT_EQ(bit(file, sector), sector == 7 || sector == 8) << sector;
    }
}

TEST_F(CoreUml, TheHeaderStaysAsItIs) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(0, random_bytes(plain_.size())), 0);
    ASSERT_EQ(device.close(), 0);
    EXPECT_EQ(slice(cow.content(), 0, uml_bitmap_offset(spec_)),
              slice(uml_cow(spec_), 0, uml_bitmap_offset(spec_)));
}

TEST_F(CoreUml, BitsOfEarlierSessionsStay) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    for (const u64 sector : {3, 90, 50}) {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(sector * kSector, pattern(kSector, 1)), 0);
    }
    EXPECT_TRUE(bit(cow.content(), 3));
    EXPECT_TRUE(bit(cow.content(), 50));
    EXPECT_TRUE(bit(cow.content(), 90));
}

TEST_F(CoreUml, ReadOnlyWritesNothing) {
    Bytes file = uml_cow(spec_);
    TestIo base("base", plain_), cow("cow", file);
    cow.start_recording();
    OpenDevice device(&base, {&cow}, {.read_only = true});
    Bytes out;
    ASSERT_EQ(device.read(0, 4096, &out), 0);
    EXPECT_EQ(cw_device_flush(device.get()), 0);
    EXPECT_EQ(device.close(), 0);
    EXPECT_TRUE(cow.calls().empty());
}

TEST_F(CoreUml, StatCountsTheSectorsItHolds) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(0, pattern(3 * kSector, 1)), 0);
    }
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(kSector, pattern(3 * kSector, 1)), 0);
    cw_device_stats stats;
    cw_device_get_stats(device.get(), &stats);
    EXPECT_EQ(stats.cow.plain_bytes, 4 * kSector);
    EXPECT_EQ(stats.cow.total_bytes, cow.content().size());
}

/* ---- large devices: more than one page of the bitmap ---- */

class CoreUmlLarge : public CoreUml {
protected:
    CoreUmlLarge() {
        plain_ = Bytes(2 * kPageCovers + 10 * kSector, 0x11);
        spec_.size = plain_.size();
    }
};

TEST_F(CoreUmlLarge, AWriteAcrossBitmapPagesIsRead) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    const Bytes data = random_bytes(20 * kSector);
    for (const u64 page : {1, 2}) {
        const u64 off = page * kPageCovers - 10 * kSector;
        Bytes out;
        ASSERT_EQ(device.write(off, data), 0);
        ASSERT_EQ(device.read(off, 20 * kSector, &out), 0);
        EXPECT_EQ(out, data);
    }
}

TEST_F(CoreUmlLarge, AWriteAcrossBitmapPagesIsThereAfterReopening) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    const u64 off = kPageCovers - 10 * kSector;
    {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(off, pattern(20 * kSector, 2)), 0);
    }
    Bytes expected = plain_;
    memset(expected.data() + off, 2, 20 * kSector);
    EXPECT_EQ(OpenDevice(&base, {&cow}).contents(), expected);
}

TEST_F(CoreUmlLarge, TheLastSectorHasABit) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    const u64 last = plain_.size() / kSector - 1;
    {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(last * kSector, pattern(kSector, 2)), 0);
    }
    EXPECT_TRUE(bit(cow.content(), last));
    Bytes out;
    ASSERT_EQ(OpenDevice(&base, {&cow}).read(last * kSector, kSector, &out), 0);
    EXPECT_EQ(out, pattern(kSector, 2));
}

TEST_F(CoreUmlLarge, ABitmapPageThatCannotBeReadIsEioForItsSectorsOnly) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    const u64 bad = uml_bitmap_offset(spec_) + CW_PAGE_SIZE;
    cow.before_read = [bad](u64 off, size_t) { return off == bad ? -EIO : 0; };
    Bytes out;
    EXPECT_EQ(device.read(kPageCovers, kSector, &out), -EIO);
    EXPECT_EQ(device.write(kPageCovers, pattern(kSector, 2)), -EIO);
    EXPECT_EQ(device.read(0, kSector, &out), 0);
    EXPECT_EQ(device.read(2 * kPageCovers, kSector, &out), 0);
}

TEST_F(CoreUmlLarge, ABitmapPageIsReadAgainAfterAnError) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    Bytes out;
    cow.before_read = [](u64, size_t) { return -EIO; };
    EXPECT_EQ(device.read(0, kSector, &out), -EIO);
    cow.before_read = nullptr;
    ASSERT_EQ(device.read(0, kSector, &out), 0);
    EXPECT_EQ(out, pattern(kSector, 0x11));
}

TEST_F(CoreUmlLarge, FlushWritesTheChangedBitmapPagesOnly) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    Bytes out;
    ASSERT_EQ(device.read(0, kSector, &out), 0);
    ASSERT_EQ(device.write(kPageCovers, pattern(kSector, 2)), 0);
    cow.start_recording();
    ASSERT_EQ(cw_device_flush(device.get()), 0);
    ASSERT_EQ(cow.calls().size(), 3u); /* flush, one page, flush */
    EXPECT_EQ(cow.calls()[1].off, uml_bitmap_offset(spec_) + CW_PAGE_SIZE);
}

TEST_F(CoreUmlLarge, FlushOfNothingNewIsOneFlushOfTheFile) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(0, pattern(kSector, 2)), 0);
    ASSERT_EQ(cw_device_flush(device.get()), 0);
    ASSERT_EQ(device.write(0, pattern(kSector, 3)), 0); /* its bit is there */
    cow.start_recording();
    ASSERT_EQ(cw_device_flush(device.get()), 0);
    EXPECT_EQ(cow.calls().size(), 1u);
}

/* A flush looks at bitmap pages while readers bring others in: for TSan. */
TEST_F(CoreUmlLarge, FlushAndFirstReadsAtOnce) {
    for (int i = 0; i < 20; i++) {
        TestIo base("base", plain_), cow("cow", uml_cow(spec_));
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(0, pattern(kSector, 2)), 0);
        int err = 0;
        std::thread reader([&] {
            Bytes out;
            for (const u64 page : {1, 2}) {
                err |= device.read(page * kPageCovers, kSector, &out);
            }
        });
        EXPECT_EQ(cw_device_flush(device.get()), 0);
        reader.join();
        EXPECT_EQ(err, 0);
    }
}

/* ---- full and failing files ---- */

TEST_F(CoreUml, AFullFileIsAnErrorAndTheOldDataStays) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    cow.before_write = [](u64, size_t) { return -ENOSPC; };
    EXPECT_EQ(device.write(0, pattern(4096, 2)), -ENOSPC);
    Bytes out;
    ASSERT_EQ(device.read(0, 4096, &out), 0);
    EXPECT_EQ(out, slice(plain_, 0, 4096));
}

TEST_F(CoreUml, AFullFileSetsNoBits) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    cow.before_write = [](u64, size_t) { return -ENOSPC; };
    EXPECT_EQ(device.write(0, pattern(4096, 2)), -ENOSPC);
    cow.before_write = nullptr;
    ASSERT_EQ(device.close(), 0);
    EXPECT_FALSE(bit(cow.content(), 0));
}

TEST_F(CoreUml, WritesWorkAgainWhenThereIsSpace) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    cow.before_write = [](u64, size_t) { return -ENOSPC; };
    EXPECT_EQ(device.write(0, pattern(4096, 2)), -ENOSPC);
    cw_cow_space space;
    cw_device_get_space(device.get(), &space);
    EXPECT_EQ(space.state, CW_COW_FULL);
    cow.before_write = nullptr;
    ASSERT_EQ(device.write(0, pattern(4096, 3)), 0);
    cw_device_get_space(device.get(), &space);
    EXPECT_EQ(space.state, CW_COW_OK);
    Bytes out;
    ASSERT_EQ(device.read(0, 4096, &out), 0);
    EXPECT_EQ(out, pattern(4096, 3));
}

TEST_F(CoreUml, AFlushThatFindsTheFileFullSaysSoAndTheNextOneWritesTheBits) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(0, pattern(4096, 2)), 0);
    cow.before_write = [](u64, size_t) { return -ENOSPC; };
    EXPECT_EQ(cw_device_flush(device.get()), -ENOSPC);
    cow.before_write = nullptr;
    EXPECT_EQ(cw_device_flush(device.get()), 0);
    EXPECT_TRUE(bit(cow.content(), 0));
}

/* The flush's data may be lost, and the file would not report that again. */
TEST_F(CoreUml, AFlushWhoseFileFlushFailsEndsWritingButNotReading) {
    for (int fails = 0; fails < 2; fails++) { /* before or behind the bits */
        TestIo base("base", plain_), cow("cow", uml_cow(spec_));
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(0, pattern(4096, 2)), 0);
        int n = 0;
        cow.before_flush = [&] { return n++ == fails ? -EIO : 0; };
        EXPECT_EQ(cw_device_flush(device.get()), -EIO);
        cow.start_recording();
        EXPECT_EQ(cw_device_flush(device.get()), -EIO);
        EXPECT_EQ(device.write(4096, pattern(4096, 3)), -EIO);
        EXPECT_TRUE(cow.calls().empty());
        Bytes out;
        EXPECT_EQ(device.read(0, 4096, &out), 0);
        EXPECT_EQ(out, pattern(4096, 2));
        cw_cow_space space;
        cw_device_get_space(device.get(), &space);
        EXPECT_EQ(space.state, CW_COW_FAILED);
    }
}

TEST_F(CoreUml, DataThatCannotBeReadIsEio) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.write(0, pattern(4096, 2)), 0);
    cow.before_read = [](u64, size_t) { return -EIO; };
    Bytes out;
    EXPECT_EQ(device.read(0, 512, &out), -EIO);
    EXPECT_EQ(device.read(4096, 512, &out), 0);
}

TEST_F(CoreUml, NoMemoryForABitmapPageIsAnErrorAndNotTheBase) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    OpenDevice device(&base, {&cow});
    Bytes out;
    {
        FailAllocations fail([](size_t) { return true; });
        EXPECT_EQ(device.read(0, 512, &out), -ENOMEM);
    }
    EXPECT_EQ(device.read(0, 512, &out), 0);
}

/* ---- its content ---- */

/* A bitmap of terabytes is mostly holes, and an attach must not wait for them. */
TEST_F(CoreUmlLarge, HolesOfTheBitmapAreNotRead) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(2 * kPageCovers, pattern(3 * kSector, 7)), 0);
    }
    const u64 bitmap = uml_bitmap_offset(spec_);
    const u64 data = bitmap + u64{2} * CW_PAGE_SIZE;
    cow.data_from = [&](u64 off) { return std::max(off, data); };
    std::vector<u64> reads;
    cow.before_read = [&](u64 off, size_t) {
        if (off >= bitmap) {
            reads.push_back(off);
        }
        return 0;
    };
    OpenDevice device(&base, {&cow});
    ASSERT_EQ(device.err(), 0) << device.why();
    cw_device_stats stats;
    cw_device_get_stats(device.get(), &stats);
    EXPECT_EQ(stats.cow.live_bytes, 3 * kSector);
    EXPECT_EQ(reads, std::vector<u64>{data});
    cow.data_from = [&](u64) { return ~u64{0}; };
    EXPECT_EQ(OpenDevice(&base, {&cow}).err(), 0);
    EXPECT_EQ(reads.size(), 1u);
}

TEST_F(CoreUml, LiveBytesAreCountedOnce) {
    TestIo base("base", plain_), cow("cow", uml_cow(spec_));
    const auto live = [](OpenDevice &device) {
        cw_device_stats stats;
        cw_device_get_stats(device.get(), &stats);
        return stats.cow.live_bytes;
    };
    u64 before = 0;
    {
        OpenDevice device(&base, {&cow});
        before = live(device);
        FailAllocations fail([](size_t) { return true; });
        EXPECT_EQ(live(device), before);
    }
    u64 written = 0;
    {
        OpenDevice device(&base, {&cow});
        ASSERT_EQ(device.write(0, Bytes(plain_.size(), 'w')), 0);
        written = live(device);
        EXPECT_EQ(written, plain_.size());
        ASSERT_EQ(device.write(4096, Bytes(4096, 'x')), 0);
        EXPECT_EQ(live(device), written);
    }
    EXPECT_LT(before, written);
    OpenDevice device(&base, {&cow});
    EXPECT_EQ(live(device), written);
}

/* ---- after a power cut ---- */

/*
 * Random writes and flushes are recorded as the engine sent them to the file. For a cut at
 * every call, the test makes a possible file. It has all that was flushed before, and any
 * sectors of later writes. The file must open. Each sector of the device must have the data
 * of its last flush or of a later write. A sector that was never flushed may have the
 * base's data.
 */
class CoreUmlCrash : public testing::TestWithParam<u32> {
protected:
    static constexpr u64 kSectors = 64;

    struct Version {
        u8 fill;
        size_t begin; /* number of calls when the write began */
        size_t end;   /* and when it returned */
    };

    CoreUmlCrash() {
        spec_.size = kSectors * kSector;
        spec_.sector_size = GetParam();
        base_.set_content(pattern(spec_.size, 0));
        cow_.set_content(uml_cow(spec_));
        history_.assign(kSectors, {{0, 0, 0}});
    }

    /* Versions are told apart by the byte that fills a sector. */
    void play(OpenDevice *device, std::mt19937 *random) {
        cow_.start_recording();
        for (int fill = 1; fill < 120; fill++) {
            const u64 first = (*random)() % kSectors;
            const u64 count = 1 + (*random)() % std::min<u64>(12, kSectors - first);
            const size_t begin = cow_.calls().size();
            ASSERT_EQ(device->write(first * kSector, pattern(count * kSector, fill)), 0);
            for (u64 s = first; s < first + count; s++) {
                history_[s].push_back({static_cast<u8>(fill), begin, cow_.calls().size()});
            }
            if ((*random)() % 4 == 0) {
                ASSERT_EQ(cw_device_flush(device->get()), 0);
                flushed_.push_back(cow_.calls().size());
            }
        }
    }

    /* The file after a cut: calls [0, cut) were sent. */
    Bytes file_after(size_t cut, const std::function<bool()> &survives) const {
        size_t durable = 0;
        for (size_t i = 0; i < cut; i++) {
            if (cow_.calls()[i].kind == TestIo::Call::Kind::kFlush) {
                durable = i + 1;
            }
        }
        Bytes file = uml_cow(spec_);
        for (size_t i = 0; i < cut; i++) {
            const TestIo::Call &call = cow_.calls()[i];
            for (size_t at = 0; at < call.data.size(); at += kSector) {
                if (i < durable || survives()) {
                    apply_write(&file, call.off + at, call.data.data() + at,
                                std::min<size_t>(kSector, call.data.size() - at));
                }
            }
        }
        return file;
    }

    /* The fault of the device after a cut; "" when there is none. */
    std::string loss(size_t cut, const Bytes &file) {
        TestIo cow("cow", file);
        OpenDevice device(&base_, {&cow});
        if (device.err() != 0) {
            return "does not open: " + device.why();
        }
        const Bytes shown = device.contents();
        size_t flushed = 0;
        for (const size_t end : flushed_) {
            flushed = end <= cut ? end : flushed;
        }
        for (u64 s = 0; s < kSectors; s++) {
            const u8 fill = shown.at(s * kSector);
            if (slice(shown, s * kSector, kSector) != pattern(kSector, fill)) {
                return "sector " + std::to_string(s) + " is of two minds";
            }
            if (!may_be(s, fill, flushed, cut)) {
                return "sector " + std::to_string(s) + " shows write " + std::to_string(fill) +
                       " after a cut at call " + std::to_string(cut);
            }
        }
        return "";
    }

    bool may_be(u64 sector, u8 fill, size_t flushed, size_t cut) const {
        const std::vector<Version> &versions = history_[sector];
        size_t last = 0; /* that a flush made durable */
        for (size_t i = 0; i < versions.size(); i++) {
            last = versions[i].end <= flushed ? i : last;
        }
        for (size_t i = last; i < versions.size() && (i == last || versions[i].begin < cut); i++) {
            if (versions[i].fill == fill) {
                return true;
            }
        }
        return false;
    }

    UmlSpec spec_;
    TestIo base_{"base"}, cow_{"cow"};
    std::vector<std::vector<Version>> history_;
    std::vector<size_t> flushed_; /* number of calls when a flush returned */
};

TEST_P(CoreUmlCrash, NoCutLosesWhatWasFlushed) {
    std::mt19937 random(GetParam());
    OpenDevice device(&base_, {&cow_});
    ASSERT_EQ(device.err(), 0) << device.why();
    play(&device, &random);
    ASSERT_GT(flushed_.size(), 10u);
    for (size_t cut = 0; cut <= cow_.calls().size(); cut++) {
        ASSERT_EQ(loss(cut, file_after(cut, [] { return true; })), "");
        ASSERT_EQ(loss(cut, file_after(cut, [] { return false; })), "");
        for (int i = 0; i < 5; i++) {
            ASSERT_EQ(loss(cut, file_after(cut, [&random] { return random() % 2 == 0; })), "");
        }
    }
}

/* The simulator must be able to find something. */
TEST_P(CoreUmlCrash, ALostFlushIsFound) {
    std::mt19937 random(GetParam());
    OpenDevice device(&base_, {&cow_});
    play(&device, &random);
    EXPECT_NE(loss(flushed_.back(), uml_cow(spec_)), "");
}

INSTANTIATE_TEST_SUITE_P(SectorSizes, CoreUmlCrash, testing::Values(512u, 4096u),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace cloopw::test
