// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>

#include "support/data.h"
#include "support/hooks.h"
#include "support/images.h"

namespace cloopw::test {
namespace {

constexpr u32 kBlock = 4096;
constexpr u64 kBlocks = 600; /* an index of two levels, three leaves */

u64 bits(unsigned int shift, u64 value) { return value << shift; }

class CoreCloopw : public testing::Test {
protected:
    /* The refusal's code; CLOOPW_R_NONE when it opened. text: without the file's name. */
    static unsigned int refusal(const Bytes &file, std::string *text = nullptr) {
        TestIo io("x.img", file);
        OpenImage image(&io, &cw_image_cloopw);
        if (image.err() == 0) {
            return CLOOPW_R_NONE;
        }
        EXPECT_EQ(image.err(), -EINVAL);
        EXPECT_EQ(image.get(), nullptr);
        EXPECT_EQ(image.why().rfind("x.img: ", 0), 0u) << image.why();
        if (text != nullptr) {
            *text = image.why().substr(std::min<size_t>(7, image.why().size()));
        }
        return image.code();
    }

    using Change = std::function<void(cw_disk_super *)>;
    unsigned int refusal_of_super(const Change &change, std::string *text = nullptr) const {
        Bytes file = good_;
        change_super(&file, change);
        return refusal(file, text);
    }

    /* Every second block with another codec; not finished. */
    static NativeBuilder builder() {
        static const NativeBuilder made = [] {
            const Bytes plain = text_bytes(kBlocks * kBlock);
            NativeBuilder builder(plain.size(), kBlock);
            for (u64 n = 0; n < kBlocks; n++) {
                const cw_codec &codec = n % 2 != 0 ? cw_codec_lz4 : cw_codec_zstd;
                builder.add(n, slice(plain, n * kBlock, kBlock), codec);
            }
            return builder;
        }();
        return made;
    }

    /* Blocks [first, end) cannot be read and each says so; all others can. */
    void expect_bad_blocks(const Bytes &file, u64 first, u64 end) const {
        TestIo io("x.img", file);
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        CaptureLog log;
        for (u64 n = 0; n < kBlocks; n++) {
            Bytes out;
            const int err = image.read(n * kBlock, kBlock, &out);
            EXPECT_EQ(err, n >= first && n < end ? -EIO : 0) << n;
            EXPECT_TRUE(err != 0 || out == slice(plain_, n * kBlock, kBlock)) << n;
        }
        ASSERT_EQ(log.lines().size(), end - first);
        for (const std::string &line : log.lines()) {
            EXPECT_EQ(line.rfind("x.img: block ", 0), 0u) << line;
        }
    }

    void expect_bad_ref(const std::function<void(cw_disk_ref *)> &change) const {
        NativeBuilder bad = builder();
        change(&bad.refs[300]);
        expect_bad_blocks(bad.finish(), 300, 301);
    }

    void expect_bad_leaf(const std::function<void(cw_disk_ref *)> &change) const {
        NativeBuilder bad = builder();
        bad.on_page_ref = [&](u32 level, u64 n, cw_disk_ref *ref) {
            if (level == 0 && n == 1) {
                change(ref);
            }
        };
        expect_bad_blocks(bad.finish(), 256, 512);
    }

    Bytes plain_ = text_bytes(kBlocks * kBlock);
    Bytes good_ = builder().finish();
};

/* ---- the boot area ---- */

TEST_F(CoreCloopw, TheBootAreaIsAdopted) {
    Bytes file = good_;
    change_super(&file, [](cw_disk_super *super) { super->boot_bytes = cw_to_le64(8192); });
    TestIo io("x.img", file);
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    EXPECT_EQ(image->ahead.begin, CW_SUPER_LEN);
    EXPECT_EQ(image->ahead.end, CW_SUPER_LEN + 8192);
    EXPECT_EQ(image->ahead.index_end - image->ahead.index, 3 * CW_INDEX_PAGE_LEN);
}

TEST_F(CoreCloopw, ABootAreaEndsWithinTheFile) {
    const u64 most = good_.size() - CW_SUPER_LEN;
    const auto with = [&](u64 bytes) {
        return refusal_of_super(
            [bytes](cw_disk_super *super) { super->boot_bytes = cw_to_le64(bytes); });
    };
    EXPECT_EQ(with(most), CLOOPW_R_NONE);
    EXPECT_EQ(with(most + 1), CLOOPW_R_IMPOSSIBLE);
    EXPECT_EQ(with(UINT64_MAX), CLOOPW_R_IMPOSSIBLE);
}

/* ---- good images ---- */

TEST_F(CoreCloopw, MixedCodecsAreRead) { expect_bad_blocks(good_, 0, 0); /* none */ }

TEST_F(CoreCloopw, OddSizesAreExact) {
    for (const u64 size : {1ull, 511ull, 512ull, 513ull, 4095ull, 4097ull, 12288ull + 700}) {
        const Bytes plain = text_bytes(size);
        TestIo io("a", native_image(plain, kBlock, cw_codec_lz4));
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        EXPECT_EQ(image->size, size);
        Bytes out;
        ASSERT_EQ(image.read(0, static_cast<u32>(size), &out), 0);
        EXPECT_EQ(out, plain);
    }
}

TEST_F(CoreCloopw, EveryBlockSizeIsRead) {
    for (u32 block = CW_NATIVE_MIN_BLOCK; block <= CW_NATIVE_MAX_BLOCK; block *= 2) {
        const Bytes plain = text_bytes(2 * block + 99);
        TestIo io("a", native_image(plain, block, cw_codec_zstd));
        OpenImage image(&io);
        ASSERT_EQ(image.err(), 0) << image.why();
        Bytes out;
        ASSERT_EQ(image.read(block - 10, block + 20, &out), 0);
        EXPECT_EQ(out, slice(plain, block - 10, block + 20));
    }
}

TEST_F(CoreCloopw, BlocksThatAreNotStoredAreZeros) {
    NativeBuilder sparse(10 * kBlock, kBlock);
    sparse.add(5, text_bytes(kBlock), cw_codec_lz4);
    TestIo io("a", sparse.finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(4 * kBlock, kBlock, &out), 0);
    EXPECT_EQ(out, Bytes(kBlock));
}

TEST_F(CoreCloopw, LeavesThatAreNotStoredAreZeros) {
    NativeBuilder sparse(1000 * kBlock, kBlock);
    sparse.add(5, text_bytes(kBlock), cw_codec_lz4);
    TestIo io("a", sparse.finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(700 * kBlock, kBlock, &out), 0);
    EXPECT_EQ(out, Bytes(kBlock));
}

TEST_F(CoreCloopw, AnImageOfZerosNeedsASuperblockOnly) {
    TestIo io("a", NativeBuilder(1000 * kBlock, kBlock).finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(999 * kBlock, kBlock, &out), 0);
    EXPECT_EQ(out, Bytes(kBlock));
}

TEST_F(CoreCloopw, BlocksMayShareTheirBytes) {
    NativeBuilder shared(2 * kBlock, kBlock);
    shared.add(0, text_bytes(kBlock), cw_codec_lz4);
    shared.refs[1] = shared.refs[0];
    TestIo io("a", shared.finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(kBlock, kBlock, &out), 0);
    EXPECT_EQ(out, text_bytes(kBlock));
}

TEST_F(CoreCloopw, BlocksMayBeInAnyOrder) {
    const Bytes a = text_bytes(kBlock, 1), b = text_bytes(kBlock, 2);
    NativeBuilder swapped(2 * kBlock, kBlock);
    swapped.add(1, b, cw_codec_lz4);
    swapped.add(0, a, cw_codec_lz4);
    TestIo io("a", swapped.finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read(0, kBlock, &out), 0);
    EXPECT_EQ(out, a);
}

TEST_F(CoreCloopw, UuidAndLabelAreShown) {
    Bytes file = good_;
    change_super(&file, [](cw_disk_super *super) {
        memset(super->uuid, 0x5a, sizeof(super->uuid));
        memset(super->label, 'x', sizeof(super->label)); /* no end */
    });
    TestIo io("a", file);
    OpenImage image(&io);
    EXPECT_EQ(image->uuid[15], 0x5a);
    EXPECT_EQ(std::string(image->label), std::string(64, 'x'));
}

TEST_F(CoreCloopw, ATebibyteOpensWithFewReadsInLittleMemory) {
    NativeBuilder huge(1ull << 40, 65536);
    huge.add((1ull << 23) + 1, text_bytes(65536), cw_codec_zstd);
    TestIo io("a", huge.finish());
    u64 bytes_read = 0;
    io.before_read = [&](u64, size_t len) {
        bytes_read += len;
        return 0;
    };
    CountAllocations count;
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    EXPECT_LT(bytes_read, 1u << 20);
    EXPECT_LT(count.bytes(), 1u << 20);
}

TEST_F(CoreCloopw, ATebibyteIsReadWhereItHasData) {
    NativeBuilder huge(1ull << 40, 65536);
    huge.add((1ull << 23) + 1, text_bytes(65536), cw_codec_zstd);
    TestIo io("a", huge.finish());
    OpenImage image(&io);
    Bytes out;
    ASSERT_EQ(image.read((1ull << 39) + 65536, 65536, &out), 0);
    EXPECT_EQ(out, text_bytes(65536));
    ASSERT_EQ(image.read((1ull << 40) - 512, 512, &out), 0);
    EXPECT_EQ(out, Bytes(512));
}

/* ---- features ---- */

TEST_F(CoreCloopw, UnknownCompatibleFeaturesAreFine) {
    EXPECT_EQ(
        refusal_of_super([](cw_disk_super *super) { super->compat = cw_to_le64(1ull << 63); }),
        CLOOPW_R_NONE);
}

TEST_F(CoreCloopw, UnknownReadOnlyCompatibleFeaturesAreFine) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) { super->ro_compat = cw_to_le64(1); }),
              CLOOPW_R_NONE);
}

TEST_F(CoreCloopw, UnknownIncompatibleFeaturesAreRefused) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) { super->incompat = cw_to_le64(0x12); }),
              CLOOPW_R_NEWER);
}

TEST_F(CoreCloopw, ALaterVersionIsRefused) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) { super->version = cw_to_le32(2); }),
              CLOOPW_R_NEWER);
}

/* ---- superblocks that lie ---- */

TEST_F(CoreCloopw, EveryTruncationIsRefused) {
    for (size_t len = 8; len < good_.size(); len += len < 5000 ? 61 : 9973) {
        EXPECT_EQ(refusal(slice(good_, 0, len)), CLOOPW_R_TRUNCATED) << len;
    }
    EXPECT_EQ(refusal(slice(good_, 0, good_.size() - 1)), CLOOPW_R_TRUNCATED);
}

TEST_F(CoreCloopw, BytesBehindTheEndAreFine) {
    Bytes file = good_;
    file.resize(file.size() + 511);
    EXPECT_EQ(refusal(file), CLOOPW_R_NONE);
}

/*
 * The first 12 bytes have refusals of their own: magic decides the format, and the version
 * comes first. Features of a newer cloopw come before the checksum, too.
 */
TEST_F(CoreCloopw, AnyFlippedBitOfTheSuperblockIsRefused) {
    for (size_t at = 12; at < CW_SUPER_LEN; at += at < 200 ? 1 : 37) {
        Bytes file = good_;
        file[at] ^= 0x10;
        const bool is_feature = at / 8 == offsetof(cw_disk_super, incompat) / 8;
        EXPECT_EQ(refusal(file), is_feature ? CLOOPW_R_NEWER : CLOOPW_R_DAMAGED) << at;
    }
}

TEST_F(CoreCloopw, ADamagedSuperblockIsCalledThat) {
    Bytes file = good_;
    file[offsetof(cw_disk_super, size)] ^= 1;
    std::string text;
    EXPECT_EQ(refusal(file, &text), CLOOPW_R_DAMAGED);
    EXPECT_EQ(text, "the superblock is damaged (checksum)");
}

TEST_F(CoreCloopw, BadBlockSizesAreRefused) {
    for (const u32 size : {0u, 1u, 512u, 2048u, 4095u, 4097u, 12288u, 2u << 20, 1u << 31}) {
        EXPECT_EQ(refusal_of_super(
                      [size](cw_disk_super *super) { super->block_size = cw_to_le32(size); }),
                  CLOOPW_R_IMPOSSIBLE)
            << size;
    }
}

TEST_F(CoreCloopw, ImpossibleSizesAreRefused) {
    for (const u64 size : {0ull, (1ull << 62) + 1, ~0ull}) {
        EXPECT_EQ(
            refusal_of_super([size](cw_disk_super *super) { super->size = cw_to_le64(size); }),
            CLOOPW_R_IMPOSSIBLE)
            << size;
    }
}

TEST_F(CoreCloopw, AWrongNumberOfLevelsIsRefused) {
    for (const u32 levels : {0u, 1u, 3u, 7u, 0xffffffffu}) {
        EXPECT_EQ(refusal_of_super(
                      [levels](cw_disk_super *super) { super->levels = cw_to_le32(levels); }),
                  CLOOPW_R_IMPOSSIBLE)
            << levels;
    }
}

TEST_F(CoreCloopw, MoreBlocksThanAnIndexCanHaveAreRefused) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) {
                  super->size = cw_to_le64(1ull << 62);
                  super->levels = cw_to_le32(7);
              }),
              CLOOPW_R_IMPOSSIBLE);
}

TEST_F(CoreCloopw, AFileLengthShorterThanASuperblockIsRefused) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) { super->file_bytes = cw_to_le64(4095); }),
              CLOOPW_R_IMPOSSIBLE);
}

TEST_F(CoreCloopw, CodecsWithoutANameAreRefused) {
    EXPECT_EQ(refusal_of_super([](cw_disk_super *super) { super->codecs = cw_to_le32(1u << 31); }),
              CLOOPW_R_NO_CODEC);
}

TEST_F(CoreCloopw, ABadRootIsRefused) {
    const std::vector<std::function<void(cw_disk_ref *)>> lies = {
        [](cw_disk_ref *root) { root->where = cw_to_le64(bits(0, 1ull << 47)); },
        [](cw_disk_ref *root) { root->where = cw_to_le64(0); },
        [](cw_disk_ref *root) { root->where |= cw_to_le64(bits(CW_REF_RESERVED_SHIFT, 1)); },
        [](cw_disk_ref *root) { root->where |= cw_to_le64(bits(CW_REF_CODEC_SHIFT, 2)); },
        [](cw_disk_ref *root) { root->stored = cw_to_le32(4095); },
        [](cw_disk_ref *root) { root->stored = cw_to_le32(4097); },
        [](cw_disk_ref *root) { root->stored = cw_to_le32(0); },
    };
    for (const auto &lie : lies) {
        EXPECT_EQ(refusal_of_super([&lie](cw_disk_super *super) { lie(&super->root); }),
                  CLOOPW_R_DAMAGED);
    }
}

TEST_F(CoreCloopw, RefusalsSayWhatIsWrong) {
    using Super = cw_disk_super;
    const u64 boot = good_.size() - CW_SUPER_LEN + 1;
    const std::pair<Change, std::string> texts[] = {
        {[](Super *super) { super->incompat = cw_to_le64(0x12); },
         "uses features this driver does not know (incompatible feature bits 0x12): a newer "
         "cloopw is needed"},
        {[](Super *super) { super->version = cw_to_le32(2); },
         "cloopw image of version 2; this driver reads version 1"},
        {[](Super *super) { super->block_size = cw_to_le32(4097); },
         "block size 4097 is no power of two within 4096..1048576"},
        {[](Super *super) { super->size = cw_to_le64(~0ull); },
         "a size of 18446744073709551615 bytes is not possible"},
        {[](Super *super) { super->levels = cw_to_le32(7); },
         "an index of 7 levels does not fit 2457600 bytes in blocks of 4096"},
        {[](Super *super) { super->file_bytes = cw_to_le64(4095); },
         "a length of 4095 bytes is less than its superblock"},
        {[boot](Super *super) { super->boot_bytes = cw_to_le64(boot); },
         "a boot area of " + std::to_string(boot) + " bytes is longer than its file"},
        {[](Super *super) { super->codecs = cw_to_le32(1u << 31); },
         "uses codecs this driver does not know (0x80000000)"},
        {[](Super *super) { super->root.where = cw_to_le64(0); },
         "the superblock's index reference is not valid"},
    };
    std::string said;
    for (const auto &[change, text] : texts) {
        refusal_of_super(change, &said);
        EXPECT_EQ(said, text);
    }
    refusal(slice(good_, 0, 4095), &said);
    EXPECT_EQ(said, "truncated: 4095 bytes are less than a superblock");
}

/* ---- an index that lies: EIO for what hangs below, the rest is read ---- */

TEST_F(CoreCloopw, ADamagedLeafIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->crc = cw_to_le32(cw_from_le32(ref->crc) ^ 1); });
}

TEST_F(CoreCloopw, ALeafOutsideTheFileIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->where = cw_to_le64(1ull << 40); });
    expect_bad_leaf([this](cw_disk_ref *ref) { ref->where = cw_to_le64(good_.size() - 4095); });
}

TEST_F(CoreCloopw, ALeafInTheSuperblockIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->where = cw_to_le64(0); });
    expect_bad_leaf([](cw_disk_ref *ref) { ref->where = cw_to_le64(4095); });
}

TEST_F(CoreCloopw, ACompressedLeafIsEioForItsBlocks) {
    expect_bad_leaf(
        [](cw_disk_ref *ref) { ref->where |= cw_to_le64(bits(CW_REF_CODEC_SHIFT, CW_CODEC_LZ4)); });
}

TEST_F(CoreCloopw, ALeafOfAnotherLengthIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->stored = cw_to_le32(4080); });
    expect_bad_leaf([](cw_disk_ref *ref) { ref->stored = cw_to_le32(8192); });
}

TEST_F(CoreCloopw, ALeafWithReservedBitsIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->where |= cw_to_le64(1ull << 63); });
}

TEST_F(CoreCloopw, ALeafOfNoBytesWithAPlaceIsEioForItsBlocks) {
    expect_bad_leaf([](cw_disk_ref *ref) { ref->stored = cw_to_le32(0); });
}

/* Without it there is no data at all, as in a copy that ends in zeros. */
TEST_F(CoreCloopw, ABadRootPageIsRefused) {
    NativeBuilder bad = builder();
    bad.on_page_ref = [](u32 level, u64, cw_disk_ref *ref) {
        if (level == 1) {
            ref->crc = cw_to_le32(cw_from_le32(ref->crc) ^ 1);
        }
    };
    for (Bytes file : {bad.finish(), builder().finish()}) {
        std::fill(file.end() - static_cast<std::ptrdiff_t>(file.size() / 3), file.end(), u8{0});
        TestIo io("x.img", file);
        OpenImage image(&io);
        EXPECT_EQ(image.err(), -EIO);
        EXPECT_NE(image.why().find("x.img: damaged: the root of its index, at byte "),
                  std::string::npos)
            << image.why();
    }
}

/* Levels are counted, not found: a page that refers to itself ends. */
TEST_F(CoreCloopw, AnIndexThatRunsInACircleEnds) {
    NativeBuilder bad(u64{kBlock} << 24, kBlock);
    bad.add(0, text_bytes(kBlock), cw_codec_lz4);
    bad.on_page = [&bad](u32 level, u64, cw_disk_index_page *page) {
        if (level == 1) { /* to where it will be itself; the crc cannot fit */
            page->ref[0].where = cw_to_le64(cw_from_le64(page->ref[0].where) + CW_INDEX_PAGE_LEN);
        }
    };
    TestIo io("a", bad.finish());
    OpenImage image(&io);
    ASSERT_EQ(image.err(), 0) << image.why();
    Bytes out;
    EXPECT_EQ(image.read(0, kBlock, &out), -EIO);
}

/* ---- references to blocks that lie ---- */

TEST_F(CoreCloopw, ABlockWithAWrongChecksumIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->crc = cw_to_le32(cw_from_le32(ref->crc) ^ 1); });
}

TEST_F(CoreCloopw, ABlockOutsideTheFileIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->where = cw_to_le64((1ull << 48) - 1); });
}

TEST_F(CoreCloopw, ABlockInTheSuperblockIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->where = cw_to_le64(100); });
}

TEST_F(CoreCloopw, ABlockOfAnUnknownCodecIsEio) {
    expect_bad_ref(
        [](cw_disk_ref *ref) { ref->where |= cw_to_le64(bits(CW_REF_CODEC_SHIFT, 0xff)); });
}

TEST_F(CoreCloopw, ABlockOfACodecTheSuperblockDoesNotNameIsEio) {
    NativeBuilder bad = builder();
    bad.refs[300] =
        bad.store(compress(cw_codec_zlib, slice(plain_, 300 * kBlock, kBlock)), CW_CODEC_ZLIB);
    expect_bad_blocks(bad.finish(), 300, 301);
}

TEST_F(CoreCloopw, ABlockOfTheWrongCodecIsEio) {
    NativeBuilder bad = builder();
    bad.refs[300] =
        bad.store(compress(cw_codec_lz4, slice(plain_, 300 * kBlock, kBlock)), CW_CODEC_ZSTD);
    expect_bad_blocks(bad.finish(), 300, 301);
}

TEST_F(CoreCloopw, ABlockWithReservedBitsIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->where |= cw_to_le64(1ull << 56); });
}

TEST_F(CoreCloopw, ABlockLongerThanABlockIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->stored = cw_to_le32(kBlock + 1); });
    expect_bad_ref([](cw_disk_ref *ref) { ref->stored = cw_to_le32(0xffffffff); });
}

TEST_F(CoreCloopw, ABlockOfNoBytesWithAPlaceIsEio) {
    expect_bad_ref([](cw_disk_ref *ref) { ref->stored = cw_to_le32(0); });
}

TEST_F(CoreCloopw, GarbageWithARightChecksumIsEio) {
    NativeBuilder bad = builder();
    bad.refs[300] = bad.store(random_bytes(1000), CW_CODEC_ZSTD);
    expect_bad_blocks(bad.finish(), 300, 301);
}

TEST_F(CoreCloopw, AStreamOfTheWrongLengthIsEio) {
    for (const u64 len : {kBlock - 1, kBlock + 1}) {
        NativeBuilder bad = builder();
        bad.refs[300] = bad.store(compress(cw_codec_lz4, text_bytes(len)), CW_CODEC_LZ4);
        expect_bad_blocks(bad.finish(), 300, 301);
    }
}

TEST_F(CoreCloopw, APlainBlockThatIsTooShortIsEio) {
    NativeBuilder bad = builder();
    bad.refs[300] = bad.store(text_bytes(kBlock - 1), CW_CODEC_NONE);
    bad.super.codecs |= cw_to_le32(CW_CODEC_BIT(CW_CODEC_NONE));
    expect_bad_blocks(bad.finish(), 300, 301);
}

TEST_F(CoreCloopw, ALastBlockLongerThanWhatIsLeftIsEio) {
    NativeBuilder bad(kBlock + 100, kBlock);
    bad.add(0, text_bytes(kBlock), cw_codec_lz4);
    bad.refs[1] = bad.store(text_bytes(kBlock), CW_CODEC_NONE);
    TestIo io("a", bad.finish());
    OpenImage image(&io);
    Bytes out;
    EXPECT_EQ(image.read(kBlock, 100, &out), -EIO);
}

TEST_F(CoreCloopw, DamagedDataIsEioForItsBlockAndIsCounted) {
    Bytes file = good_;
    NativeBuilder same = builder();
    file[cw_from_le64(same.refs[300].where) & ((1ull << 48) - 1)] ^= 1;
    expect_bad_blocks(file, 300, 301);
}

TEST_F(CoreCloopw, TheLogNamesImageBlockAndOffset) {
    NativeBuilder bad = builder();
    const u64 where = cw_from_le64(bad.refs[300].where) & ((1ull << 48) - 1);
    bad.refs[300].crc = cw_to_le32(0);
    TestIo io("x.img", bad.finish());
    OpenImage image(&io);
    CaptureLog log;
    Bytes out;
    EXPECT_EQ(image.read(300 * kBlock, 1, &out), -EIO);
    ASSERT_EQ(log.lines().size(), 1u);
    EXPECT_EQ(log.lines()[0], "x.img: block 300 at offset " + std::to_string(where) +
                                  ": checksum is wrong (Input/output error)");
}

/* Any byte of the file changed at random: never other data without an error. */
TEST_F(CoreCloopw, NoDamageShowsWrongData) {
    std::mt19937 random(1);
    CaptureLog log;
    for (int i = 0; i < 300; i++) {
        Bytes file = good_;
        for (int k = 0; k < 20; k++) {
            file[random() % file.size()] ^= static_cast<u8>(1 + random() % 255);
        }
        TestIo io("x.img", file);
        OpenImage image(&io, &cw_image_cloopw);
        for (u64 n = 0; image.err() == 0 && n < kBlocks; n += 7) {
            Bytes out;
            if (image.read(n * kBlock, kBlock, &out) == 0) {
                ASSERT_EQ(out, slice(plain_, n * kBlock, kBlock));
            }
        }
    }
}

}  // namespace
}  // namespace cloopw::test
