// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

constexpr u32 kBlock = 4096;
constexpr u64 kBlocks = 10;

class CoreCloop2 : public testing::Test {
protected:
    /* The refusal's code; CLOOPW_R_NONE when it opened. text: without the file's name. */
    unsigned int refusal(const Bytes &file, std::string *text = nullptr) {
        TestIo io("x.cloop", file);
        OpenImage image(&io, &cw_image_cloop2);
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

    /* Block 3 cannot be read and says so; all others can. */
    void expect_only_block_3_is_bad(const Bytes &file) {
        TestIo io("x.cloop", file);
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        CaptureLog log;
        for (u64 n = 0; n < kBlocks; n++) {
            Bytes out;
            const int err = image.read(n * kBlock, kBlock, &out);
            EXPECT_EQ(err, n == 3 ? -EIO : 0) << n;
            EXPECT_TRUE(err != 0 || out == slice(plain_, n * kBlock, kBlock)) << n;
        }
        ASSERT_EQ(log.lines().size(), 1u);
        EXPECT_EQ(log.lines()[0].rfind("x.cloop: block 3 ", 0), 0u) << log.lines()[0];
    }

    Bytes plain_ = text_bytes(kBlocks * kBlock);
    Bytes good_ = cloop2_image(plain_, kBlock);
};

TEST_F(CoreCloop2, SizeIsWholeBlocks) {
    TestIo io("a", cloop2_image(text_bytes(2 * kBlock + 1), kBlock));
    EXPECT_EQ(OpenImage(&io)->size, 3 * kBlock);
}

TEST_F(CoreCloop2, BlockSizesNeedNotBePowersOfTwo) {
    const Bytes plain = text_bytes(4 * 1536);
    TestIo io("a", cloop2_image(plain, 1536));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, 4 * 1536, &out), 0);
    EXPECT_EQ(out, plain);
}

TEST_F(CoreCloop2, TheSmallestAndTheLargestBlockAreRead) {
    for (const u32 block : {512u, 4u << 20}) {
        const Bytes plain = text_bytes(2 * block);
        TestIo io("a", cloop2_image(plain, block));
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        Bytes out;
        ASSERT_EQ(image.read(block - 100, 200, &out), 0);
        EXPECT_EQ(out, slice(plain, block - 100, 200));
    }
}

TEST_F(CoreCloop2, AnIndexOfManyPagesIsRead) {
    const Bytes plain = text_bytes(2000 * 512);
    TestIo io("a", cloop2_image(plain, 512));
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, 2000 * 512, &out), 0);
    EXPECT_EQ(out, plain);
}

TEST_F(CoreCloop2, EveryTruncationIsRefused) {
    for (size_t len = 16; len < good_.size(); len += len < 300 ? 1 : 97) {
        EXPECT_EQ(refusal(slice(good_, 0, len)), CLOOPW_R_TRUNCATED) << len;
    }
    EXPECT_EQ(refusal(slice(good_, 0, good_.size() - 1)), CLOOPW_R_TRUNCATED);
}

TEST_F(CoreCloop2, BytesBehindTheEndAreFine) {
    Bytes file = good_;
    file.resize(file.size() + 1000);
    EXPECT_EQ(refusal(file), CLOOPW_R_NONE);
}

TEST_F(CoreCloop2, BadBlockSizesAreRefused) {
    for (const u32 size : {0u, 1u, 511u, 513u, 4097u, (4u << 20) + 512, 0x80000000u, 0xfffffe00u}) {
        Bytes file = good_;
        put_be32(&file, 128, size);
        EXPECT_EQ(refusal(file), CLOOPW_R_IMPOSSIBLE) << size;
    }
}

TEST_F(CoreCloop2, NoBlocksAreRefused) {
    Bytes file = good_;
    put_be32(&file, 132, 0);
    EXPECT_EQ(refusal(file), CLOOPW_R_IMPOSSIBLE);
}

TEST_F(CoreCloop2, MoreBlocksThanTheFileHasOffsetsForAreRefused) {
    Bytes file = good_;
    put_be32(&file, 132, 0xffffffff);
    EXPECT_EQ(refusal(file), CLOOPW_R_TRUNCATED);
}

TEST_F(CoreCloop2, ALastOffsetBehindTheFileIsRefused) {
    for (const u64 end : {good_.size() + 1, size_t{1} << 63, ~size_t{0}}) {
        Bytes file = good_;
        put_be64(&file, cloop2_entry(kBlocks), end);
        EXPECT_EQ(refusal(file), CLOOPW_R_TRUNCATED) << end;
    }
}

TEST_F(CoreCloop2, ALastOffsetInsideTheIndexIsRefused) {
    Bytes file = good_;
    put_be64(&file, cloop2_entry(kBlocks), 100);
    EXPECT_EQ(refusal(file), CLOOPW_R_IMPOSSIBLE);
}

TEST_F(CoreCloop2, RefusalsSayWhatIsWrong) {
    const auto with = [this](size_t at, u32 value) {
        Bytes file = good_;
        put_be32(&file, at, value);
        return file;
    };
    const auto ending = [this](u64 end) {
        Bytes file = good_;
        put_be64(&file, cloop2_entry(kBlocks), end);
        return file;
    };
    const std::string size = std::to_string(good_.size());
    const std::pair<Bytes, std::string> texts[] = {
        {slice(good_, 0, 130), "truncated: 130 bytes are less than a cloop header"},
        {with(128, 513), "block size 513 is not a multiple of 512 within 512..4194304"},
        {with(132, 0), "has no blocks"},
        {with(132, 0xffffffff),
         "truncated: its index of 4294967295 blocks needs 34359738504 bytes, the file has " + size},
        {ending(1ull << 63),
         "truncated: the last block ends at byte 9223372036854775808, the file has " + size},
        {ending(100), "the last block ends at byte 100, inside the index"},
    };
    for (const auto &[file, text] : texts) {
        std::string said;
        refusal(file, &said);
        EXPECT_EQ(said, text);
    }
}

/* An offset belongs to two blocks: the one it begins and the one it ends. */
TEST_F(CoreCloop2, OffsetsOutOfOrderAreEioForTheirBlocksOnly) {
    Bytes file = good_;
    put_be64(&file, cloop2_entry(3), get_be64(file, cloop2_entry(4)) + 1);
    TestIo io("a", file);
    OpenImage image(&io);
    Bytes out;
    EXPECT_EQ(image.read(2 * kBlock, kBlock, &out), -EIO);
    EXPECT_EQ(image.read(3 * kBlock, kBlock, &out), -EIO);
    ASSERT_EQ(image.read(4 * kBlock, kBlock, &out), 0);
    EXPECT_EQ(out, slice(plain_, 4 * kBlock, kBlock));
}

TEST_F(CoreCloop2, BadOffsetsAreEioForTheirBlocksOnly) {
    for (const u64 bad : {u64{0}, u64{100}, u64{good_.size() + 1}, ~0ull, 1ull << 63}) {
        Bytes file = good_;
        put_be64(&file, cloop2_entry(3), bad);
        TestIo io("a", file);
        OpenImage image(&io);
        for (u64 n = 0; n < kBlocks; n++) {
            Bytes out;
            EXPECT_EQ(image.read(n * kBlock, kBlock, &out), n == 2 || n == 3 ? -EIO : 0) << n;
        }
    }
}

TEST_F(CoreCloop2, ABlockOfNoBytesIsEio) {
    Bytes file = good_;
    put_be64(&file, cloop2_entry(4), get_be64(file, cloop2_entry(3)));
    TestIo io("a", file);
    OpenImage image(&io);
    Bytes out;
    EXPECT_EQ(image.read(3 * kBlock, kBlock, &out), -EIO);
}

TEST_F(CoreCloop2, GarbageInABlockIsEioForThatBlock) {
    Bytes file = good_;
    for (u64 at = get_be64(file, cloop2_entry(3)); at < get_be64(file, cloop2_entry(4)); at++) {
        file[at] = 0xff;
    }
    expect_only_block_3_is_bad(file);
}

/* zlib streams end in an Adler-32 of their content. */
TEST_F(CoreCloop2, AWrongChecksumIsEioForThatBlock) {
    Bytes file = good_;
    file[get_be64(file, cloop2_entry(4)) - 1] ^= 1;
    expect_only_block_3_is_bad(file);
}

TEST_F(CoreCloop2, ABlockThatIsTooShortIsEio) {
    Bytes file = cloop2_image(plain_, kBlock);
    const Bytes stored = compress(cw_codec_zlib, text_bytes(kBlock - 1));
    const u64 end = file.size();
    file.insert(file.end(), stored.begin(), stored.end());
    /* the last block moves behind the others */
    put_be64(&file, cloop2_entry(kBlocks - 1), end);
    put_be64(&file, cloop2_entry(kBlocks), file.size());
    TestIo io("a", file);
    OpenImage image(&io);
    Bytes out;
    EXPECT_EQ(image.read((kBlocks - 1) * kBlock, kBlock, &out), -EIO);
}

}  // namespace
}  // namespace cloopw::test
