// SPDX-License-Identifier: GPL-2.0
/* cloop V0.68 and V4.0; core_image_cloop2_test.cpp has what V2.0 shares with them. */
#include <gtest/gtest.h>

#include <algorithm>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

constexpr u32 kBlock = 4096;
constexpr u64 kBlocks = 10;

struct Kind {
    const char *name;
    const cw_image_format *format;
    CloopSpec spec;
};

const std::vector<const cw_codec *> kAllCodecs = {&cw_codec_zlib, &cw_codec_none, &cw_codec_xz,
                                                  &cw_codec_lz4, &cw_codec_lzo};

const std::vector<Kind> kKinds = {
    {"V068", &cw_image_cloop068, {.version = 0}},
    {"V4First", &cw_image_cloop4, {.codecs = kAllCodecs}},
    {"V4Last", &cw_image_cloop4, {.trailing = true, .codecs = kAllCodecs}},
};

class CoreCloop : public testing::TestWithParam<Kind> {
protected:
    const CloopSpec &spec() const { return GetParam().spec; }
    u64 entry(const Bytes &file, u64 n) const { return cloop_entry(spec(), file, kBlocks, n); }
    u64 head(const Bytes &file) const {
        return spec().trailing ? file.size() - sizeof(cw_disk_cloop_head) : 0;
    }
    void put_entry(Bytes *file, u64 n, u64 value) const {
        if (spec().version == 0) {
            put_be32(file, entry(*file, n), static_cast<u32>(value));
        } else {
            put_be64(file, entry(*file, n), value);
        }
    }
    u64 get_entry(const Bytes &file, u64 n) const {
        return spec().version == 0 ? get_be64(file, entry(file, n)) >> 32
                                   : get_be64(file, entry(file, n));
    }

    /* The refusal's code; CLOOPW_R_NONE when it opened. text: without the file's name. */
    unsigned int refusal(const Bytes &file, std::string *text = nullptr) const {
        TestIo io("x.cloop", file);
        OpenImage image(&io, GetParam().format);
        if (image.err() == 0) {
            return CLOOPW_R_NONE;
        }
        EXPECT_EQ(image.err(), -EINVAL);
        EXPECT_EQ(image.why().rfind("x.cloop: ", 0), 0u) << image.why();
        if (text != nullptr) {
            *text = image.why().substr(std::min<size_t>(9, image.why().size()));
        }
        return image.code();
    }

    /* These blocks get EIO; all others are read. */
    void expect_bad(const Bytes &file, const std::vector<u64> &bad) const {
        TestIo io("x.cloop", file);
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        CaptureLog log;
        for (u64 n = 0; n < kBlocks; n++) {
            Bytes out;
            const bool is_bad = std::find(bad.begin(), bad.end(), n) != bad.end();
            const int err = image.read(n * kBlock, kBlock, &out);
            EXPECT_EQ(err, is_bad ? -EIO : 0) << n;
            EXPECT_TRUE(err != 0 || out == slice(plain_, n * kBlock, kBlock)) << n;
        }
        EXPECT_EQ(log.lines().size(), bad.size());
    }

    Bytes plain_ = text_bytes(kBlocks * kBlock);
    Bytes good_ = cloop_image(GetParam().spec, plain_);
};

INSTANTIATE_TEST_SUITE_P(Versions, CoreCloop, testing::ValuesIn(kKinds),
                         [](const auto &info) { return info.param.name; });

TEST_P(CoreCloop, IsKnownByItsBytes) {
    TestIo io("a", good_);
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    EXPECT_EQ(image->format, GetParam().format);
    EXPECT_EQ(image->size, plain_.size());
}

TEST_P(CoreCloop, EveryBlockIsRead) { expect_bad(good_, {}); }

TEST_P(CoreCloop, BlocksThatDoNotShrinkAreRead) {
    plain_ = random_bytes(kBlocks * kBlock);
    expect_bad(cloop_image(spec(), plain_), {});
}

TEST_P(CoreCloop, AnIndexOfManyPagesIsRead) {
    CloopSpec small = spec();
    small.block_size = 512;
    const Bytes plain = text_bytes(3000 * 512);
    TestIo io("a", cloop_image(small, plain));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, 3000 * 512, &out), 0);
    EXPECT_EQ(out, plain);
}

TEST_P(CoreCloop, BadBlockSizesAreRefused) {
    for (const u32 size : {0u, 511u, 4097u, (4u << 20) + 512, 0xfffffe00u}) {
        Bytes file = good_;
        put_be32(&file, head(file) + 128, size);
        EXPECT_EQ(refusal(file), CLOOPW_R_IMPOSSIBLE) << size;
    }
}

TEST_P(CoreCloop, NoBlocksAreRefused) {
    Bytes file = good_;
    put_be32(&file, head(file) + 132, 0);
    EXPECT_EQ(refusal(file), CLOOPW_R_IMPOSSIBLE);
}

TEST_P(CoreCloop, MoreBlocksThanTheFileHasEntriesForAreRefused) {
    Bytes file = good_;
    put_be32(&file, head(file) + 132, 0xffffffff);
    EXPECT_EQ(refusal(file), CLOOPW_R_TRUNCATED);
}

TEST_P(CoreCloop, ALastOffsetBehindTheFileIsRefused) {
    Bytes file = good_;
    put_entry(&file, kBlocks, file.size() + 1);
    std::string text;
    EXPECT_EQ(refusal(file, &text), CLOOPW_R_TRUNCATED);
    EXPECT_EQ(text, "truncated: the last block ends at byte " + std::to_string(file.size() + 1) +
                        ", the file has " + std::to_string(file.size()));
}

TEST_P(CoreCloop, ALastOffsetInsideTheIndexIsRefused) {
    Bytes file = good_;
    const u64 at = entry(file, 1);
    put_entry(&file, kBlocks, at);
    std::string text;
    EXPECT_EQ(refusal(file, &text), CLOOPW_R_IMPOSSIBLE);
    EXPECT_EQ(text, "the last block ends at byte " + std::to_string(at) + ", inside the index");
}

TEST_P(CoreCloop, BadOffsetsAreEioForTheirBlocksOnly) {
    for (const u64 bad : {entry(good_, 0), u64{good_.size() + 1}, u64{0xffffffff}}) {
        Bytes file = good_;
        put_entry(&file, 4, bad);
        expect_bad(file, {3, 4});
    }
}

TEST_P(CoreCloop, ABlockOfNoBytesIsEio) {
    Bytes file = good_;
    const u64 offset = get_entry(file, 3) & ~(15ull << CW_CLOOP4_OFFSET_BITS);
    put_entry(&file, 4, offset | (get_entry(file, 4) & (15ull << CW_CLOOP4_OFFSET_BITS)));
    expect_bad(file, {3, 4});
}

TEST_P(CoreCloop, OpenFailsCleanlyWhereverMemoryEnds) {
    TestIo io("a", good_);
    int err = -ENOMEM;
    for (unsigned int n = 0; err != 0 && n < 100; n++) {
        FailAllocations fail(nth_allocation(n));
        OpenDevice device(&io, {});
        err = device.err();
        EXPECT_TRUE(err == 0 || err == -ENOMEM) << err;
    }
    EXPECT_EQ(err, 0);
}

/* ---- V4.0 alone ---- */

class CoreCloop4 : public CoreCloop {};

INSTANTIATE_TEST_SUITE_P(Places, CoreCloop4, testing::Values(kKinds[1], kKinds[2]),
                         [](const auto &info) { return info.param.name; });

TEST_P(CoreCloop4, UnknownCodecsAreEioForTheirBlocksOnly) {
    for (u64 flags = 5; flags < 16; flags++) {
        Bytes file = good_;
        const u64 offset = get_entry(file, 3) & ~(15ull << CW_CLOOP4_OFFSET_BITS);
        put_entry(&file, 3, offset | flags << CW_CLOOP4_OFFSET_BITS);
        expect_bad(file, {3});
    }
}

/* Each codec refuses the data of another. */
TEST_P(CoreCloop4, AWrongCodecIsEioForItsBlockOnly) {
    for (u64 flags = 0; flags < 5; flags++) {
        Bytes file = good_;
        const u64 is = get_entry(file, 3);
        const u64 offset = is & ~(15ull << CW_CLOOP4_OFFSET_BITS);
        put_entry(&file, 3, offset | flags << CW_CLOOP4_OFFSET_BITS);
        expect_bad(file, is == get_entry(file, 3) ? std::vector<u64>{} : std::vector<u64>{3});
    }
}

TEST_P(CoreCloop4, ADamagedBlockIsEioOfEachCodec) {
    for (u64 n = 5; n < 10; n++) {
        Bytes file = good_;
        const u64 mask = (1ull << CW_CLOOP4_OFFSET_BITS) - 1;
        for (u64 at = get_entry(file, n) & mask; at < (get_entry(file, n + 1) & mask); at++) {
            file[at] = 0xff;
        }
        const bool plain = spec().codecs[n % 5] == &cw_codec_none;
        if (!plain) { /* plain bytes have nothing that could tell */
            expect_bad(file, {n});
        }
    }
}

TEST_P(CoreCloop4, AnUncompressedBlockOfAnotherLengthIsEio) {
    Bytes file = good_;
    const u64 flags = cloop4_flags(cw_codec_none);
    put_entry(&file, 1, (get_entry(file, 1) + 1) | flags);
    expect_bad(file, {0, 1});
}

TEST(CoreCloopLast, BytesBehindTheHeaderHideIt) {
    Bytes file = cloop_image({.trailing = true}, text_bytes(kBlocks * kBlock));
    file.push_back(0);
    TestIo io("a", file);
    EXPECT_EQ(OpenImage(&io)->format, &cw_image_raw);
}

TEST(CoreCloopLast, TheHeaderAtTheBeginningCounts) {
    const Bytes plain = text_bytes(kBlocks * kBlock);
    Bytes file = cloop_image({}, plain);
    const Bytes last = cloop_image({.trailing = true}, random_bytes(kBlock));
    file.insert(file.end(), last.end() - sizeof(cw_disk_cloop_head), last.end());
    TestIo io("a", file);
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, kBlocks * kBlock, &out), 0);
    EXPECT_EQ(out, plain);
}

TEST(CoreCloopLast, AFileThatIsOnlyAHeaderIsRefused) {
    const Bytes last = cloop_image({.trailing = true}, text_bytes(kBlock));
    TestIo io("a", slice(last, last.size() - 136, 136));
    OpenImage image(&io);
    EXPECT_EQ(image.err(), -EINVAL);
    EXPECT_EQ(image.code(), CLOOPW_R_TRUNCATED);
}

/* ---- V0.68 alone: what is one, when no version is named? ---- */

TEST(CoreCloop068, APreambleThatDoesNotSpeakOfCloopIsOneWhenItsIndexFits) {
    const Bytes plain = text_bytes(kBlocks * kBlock);
    Bytes file = cloop_image({.version = 0}, plain);
    memset(file.data() + 10, '#', 118);
    TestIo io("a", file);
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    EXPECT_EQ(image->format, &cw_image_cloop068);
}

TEST(CoreCloop068, OtherScriptsAreRaw) {
    const std::string text = "#!/bin/sh\necho a script" + std::string(600, '\n');
    TestIo io("a", Bytes(text.begin(), text.end()));
    EXPECT_EQ(OpenImage(&io)->format, &cw_image_raw);
}

TEST(CoreCloop068, TruncatedOnesAreRefused) {
    const Bytes file = cloop_image({.version = 0}, text_bytes(kBlocks * kBlock));
    for (size_t len = 128; len < file.size(); len += len < 300 ? 1 : 97) {
        TestIo io("a", slice(file, 0, len));
        OpenImage image(&io);
        EXPECT_EQ(image.err(), -EINVAL) << len;
        EXPECT_EQ(image.code(), CLOOPW_R_TRUNCATED) << image.why();
    }
}

}  // namespace
}  // namespace cloopw::test
