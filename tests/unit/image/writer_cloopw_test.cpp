// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "support/data.h"
#include "support/make_image.h"

namespace cloopw::test {
namespace {

const ImageWriterFormat &kFormat = image_writer_cloopw;

cw_disk_super super_of(const Bytes &file) {
    cw_disk_super super = {};
    std::memcpy(&super, file.data(), sizeof(super));
    return super;
}

/* Text, noise, zeros, a repetition, and a part of a block. */
Bytes mixed(u32 block_size, size_t tail) {
    Bytes plain = text_bytes(size_t{block_size} * 3);
    for (const Bytes &part :
         {random_bytes(size_t{block_size} * 2), Bytes(size_t{block_size} * 2, 0),
          slice(plain, 0, block_size), text_bytes(tail, 7)}) {
        plain.insert(plain.end(), part.begin(), part.end());
    }
    return plain;
}

class WriterCloopw : public testing::TestWithParam<std::tuple<const char *, u32, size_t>> {};

TEST_P(WriterCloopw, RoundTrip) {
    auto [codec, block_size, tail] = GetParam();
    Bytes plain = mixed(block_size, tail);
    MadeImage made = make_image(kFormat, writer_options(codec, block_size), plain);

    EXPECT_EQ(read_image(made.file), plain);
    EXPECT_EQ(made.stats.input_bytes, plain.size());
    EXPECT_EQ(made.stats.output_bytes, made.file.size());
    EXPECT_EQ(made.stats.blocks, cw_div_up(plain.size(), block_size));
    EXPECT_EQ(made.stats.zero_blocks, 2u);
    EXPECT_EQ(made.stats.duplicate_blocks, 1u);
    EXPECT_EQ(cw_from_le64(super_of(made.file).size), plain.size());
    const u64 end = cw_from_le64(super_of(made.file).file_bytes);
    EXPECT_EQ(made.file.size(), cw_round_up(end, CW_PAGE_SIZE)) << "whole sectors of any medium";
    EXPECT_TRUE(all_zero(&made.file[end], made.file.size() - end));
    EXPECT_EQ(read_image(slice(made.file, 0, end)), plain) << "without what pads it, too";
}

std::string name_of(const testing::TestParamInfo<WriterCloopw::ParamType> &info) {
    return std::string(std::get<0>(info.param)) + "_" + std::to_string(std::get<1>(info.param)) +
           "_" + std::to_string(std::get<2>(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, WriterCloopw,
                         testing::Combine(testing::Values("none", "zlib", "lz4", "lz4hc", "zstd"),
                                          testing::Values(4096u, 65536u, 1u << 20),
                                          testing::Values(0u, 1u, 511u, 512u, 4095u)),
                         name_of);

TEST(WriterCloopwCodec, EveryLevelReadsBack) {
    Bytes plain = mixed(4096, 100);
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        const cw_codec &codec = *cw_codecs[i];
        for (int level = codec.min_level; level <= codec.max_level; level++) {
            ImageWriterOptions options = writer_options(codec.name);
            options.level = level;
            EXPECT_EQ(read_image(make_image(kFormat, options, plain).file), plain)
                << codec.name << " " << level;
        }
    }
}

/* An image of so many blocks, where only the named ones are not zero. */
MadeImage sparse_image(u64 blocks, const std::vector<u64> &data) {
    ImageWriterOptions options = writer_options("none");
    Io io = Io::memory("image");
    auto writer = kFormat.create(io, options);
    Codec codec(*options.codec, options.level, options.block_size);
    Block block;
    for (u64 n = 0; n < blocks; n++) {
        block.number = n;
        block.plain.resize(options.block_size);
        block.plain_len = options.block_size;
        block.zero = std::find(data.begin(), data.end(), n) == data.end();
        if (!block.zero) {
            block.plain = random_bytes(options.block_size, static_cast<unsigned>(n));
        }
        writer->encode(codec, block);
        writer->append(block);
    }
    writer->finish();
    return {bytes_of(io), writer->stats(), writer->uuid()};
}

TEST(WriterCloopwIndex, AsManyLevelsAsNeeded) {
    struct Case {
        u64 blocks;
        u32 levels;
    };
    for (Case c : {Case{1, 1}, Case{2, 1}, Case{255, 1}, Case{256, 1}, Case{257, 2}, Case{512, 2},
                   Case{65535, 2}, Case{65536, 2}, Case{65537, 3}, Case{65536 * 2, 3}}) {
        std::vector<u64> data = {0, c.blocks / 2, c.blocks - 1};
        MadeImage made = sparse_image(c.blocks, data);
        EXPECT_EQ(cw_from_le32(super_of(made.file).levels), c.levels) << c.blocks;

        Image image(Io::memory("image", made.file));
        ASSERT_EQ(image.size(), c.blocks * 4096);
        Bytes got(4096);
        for (u64 n : data) {
            image.read(got.data(), 4096, n * 4096);
            EXPECT_EQ(got, random_bytes(4096, static_cast<unsigned>(n))) << c.blocks << " " << n;
        }
        for (u64 n = 1; n < c.blocks / 2; n += c.blocks / 7 + 1) {
            image.read(got.data(), 4096, n * 4096);
            EXPECT_EQ(got, Bytes(4096, 0)) << c.blocks << " " << n;
        }
    }
}

TEST(WriterCloopwIndex, ZerosCostNothing) {
    MadeImage made = sparse_image(70000, {});
    EXPECT_EQ(made.file.size(), CW_SUPER_LEN);
    EXPECT_EQ(super_of(made.file).root.stored, 0u);
    EXPECT_EQ(super_of(made.file).codecs, 0u);
    EXPECT_EQ(made.stats.zero_blocks, 70000u);
    Image image(Io::memory("image", made.file));
    Bytes got(4096, 1);
    image.read(got.data(), 4096, 69999 * 4096ull);
    EXPECT_EQ(got, Bytes(4096, 0));
}

TEST(WriterCloopwIndex, PagesOfZerosAreNotStored) {
    /* One block of data, one leaf, the root. */
    EXPECT_EQ(sparse_image(60000, {30000}).file.size(),
              CW_SUPER_LEN + 4096 + 2 * CW_INDEX_PAGE_LEN);
}

TEST(WriterCloopwDedupe, StoresEqualBlocksOnce) {
    Bytes block = random_bytes(4096);
    Bytes plain;
    for (int i = 0; i < 50; i++) {
        plain.insert(plain.end(), block.begin(), block.end());
    }
    ImageWriterOptions options = writer_options("zstd");
    MadeImage once = make_image(kFormat, options, plain);
    EXPECT_EQ(once.file.size(), CW_SUPER_LEN + 4096 + CW_INDEX_PAGE_LEN);
    EXPECT_EQ(once.stats.duplicate_blocks, 49u);
    EXPECT_EQ(read_image(once.file), plain);

    options.dedupe = false;
    MadeImage each = make_image(kFormat, options, plain);
    EXPECT_EQ(each.file.size(), CW_SUPER_LEN + 50 * 4096 + CW_INDEX_PAGE_LEN);
    EXPECT_EQ(each.stats.duplicate_blocks, 0u);
    EXPECT_EQ(read_image(each.file), plain);
}

/* A part of a block that is stored like a whole one, byte for byte. */
TEST(WriterCloopwDedupe, ShorterLastBlock) {
    for (const char *codec : {"none", "zstd", "lz4", "zlib"}) {
        Bytes plain = text_bytes(4096);
        Bytes tail = slice(plain, 0, 1000);
        plain.insert(plain.end(), tail.begin(), tail.end());
        EXPECT_EQ(read_image(make_image(kFormat, writer_options(codec), plain).file), plain);
    }
}

TEST(WriterCloopwDedupe, DoesNotTrustTheHash) {
    ImageWriterOptions options = writer_options("none");
    Io io = Io::memory("image");
    auto writer = kFormat.create(io, options);
    Codec codec(*options.codec, options.level, options.block_size);
    Bytes plain;
    for (unsigned seed = 0; seed < 100; seed++) {
        Block block;
        block.number = seed;
        block.plain = random_bytes(4096, seed % 10);
        block.plain_len = 4096;
        plain.insert(plain.end(), block.plain.begin(), block.plain.end());
        writer->encode(codec, block);
        block.hash = {1, 2}; /* all collide */
        writer->append(block);
    }
    writer->finish();
    EXPECT_EQ(read_image(bytes_of(io)), plain);
}

TEST(WriterCloopwSuper, LabelDateAndUuid) {
    ImageWriterOptions options = writer_options("lz4");
    options.label = std::string(CW_LABEL_LEN, 'x');
    options.created = 1234567890;
    options.uuid = {1, 2, 3};
    MadeImage made = make_image(kFormat, options, text_bytes(10000));
    cw_disk_super super = super_of(made.file);
    EXPECT_EQ(cw_from_le64(super.created), 1234567890u);
    EXPECT_EQ(made.uuid, options.uuid);
    Image image(Io::memory("image", made.file));
    EXPECT_EQ(image.info().label, options.label);
    EXPECT_TRUE(std::equal(options.uuid.begin(), options.uuid.end(), image.info().uuid));
}

TEST(WriterCloopwSuper, UuidIsDerivedFromContentAndOptions) {
    ImageWriterOptions options = writer_options("zstd");
    Bytes plain = text_bytes(20000);
    MadeImage first = make_image(kFormat, options, plain);
    EXPECT_EQ(make_image(kFormat, options, plain).file, first.file);
    EXPECT_EQ(first.uuid[6] >> 4, 8);
    EXPECT_EQ(first.uuid[8] >> 6, 2);

    Bytes other = plain;
    other[12345] ^= 1;
    std::vector<Uuid> uuids = {first.uuid, make_image(kFormat, options, other).uuid,
                               make_image(kFormat, options, slice(plain, 0, 19999)).uuid};
    for (auto change : {+[](ImageWriterOptions &o) { o.label = "x"; },
                        +[](ImageWriterOptions &o) { o.created = 1; },
                        +[](ImageWriterOptions &o) { o.level = 1; },
                        +[](ImageWriterOptions &o) { o.block_size = 8192; }}) {
        ImageWriterOptions changed = options;
        change(changed);
        uuids.push_back(make_image(kFormat, changed, plain).uuid);
    }
    std::sort(uuids.begin(), uuids.end());
    EXPECT_EQ(std::unique(uuids.begin(), uuids.end()), uuids.end());
}

TEST(WriterCloopwSuper, ZerosOfOtherLengthsHaveOtherUuids) {
    ImageWriterOptions options = writer_options("zstd");
    EXPECT_NE(make_image(kFormat, options, Bytes(4096, 0)).uuid,
              make_image(kFormat, options, Bytes(4095, 0)).uuid);
}

TEST(WriterCloopwFinish, BeforeItTheFileIsNoImage) {
    ImageWriterOptions options = writer_options("zstd");
    Bytes plain = text_bytes(100000);
    /* Also when an image was there before. */
    Io io = Io::memory("image", make_image(kFormat, options, plain).file);
    auto writer = kFormat.create(io, options);
    EXPECT_THROW(Image(Io::memory("image", bytes_of(io)), "cloopw"), Error);
    feed(*writer, options, plain);
    EXPECT_THROW(Image(Io::memory("image", bytes_of(io)), "cloopw"), Error);
    writer->finish();
    EXPECT_EQ(read_image(bytes_of(io)), plain);
}

TEST(WriterCloopwFinish, FullDiskIsAnError) {
    ImageWriterOptions options = writer_options("none");
    Bytes plain = random_bytes(100 * 4096);
    size_t full = make_image(kFormat, options, plain).file.size();
    for (size_t max : {size_t{4095}, size_t{4096}, size_t{50000}, full - 1}) {
        Io io = Io::memory("image", {}, max);
        try {
            auto writer = kFormat.create(io, options);
            feed(*writer, options, plain);
            writer->finish();
            FAIL() << "wrote " << full << " bytes to " << max;
        } catch (const Error &e) {
            EXPECT_EQ(e.err(), ENOSPC);
        }
    }
}

TEST(WriterCloopwFinish, NothingIsNoImage) {
    Io io = Io::memory("image");
    auto writer = kFormat.create(io, writer_options("zstd"));
    EXPECT_THROW(writer->finish(), Error);
}

TEST(WriterOptions, AreChecked) {
    auto why = [](const ImageWriterFormat &format, const char *codec, int level, u32 block_size) {
        ImageWriterOptions options = writer_options(codec, block_size);
        options.level = level;
        return check_options(format, options);
    };
    EXPECT_EQ(why(image_writer_cloopw, "zstd", 9, 65536), "");
    EXPECT_EQ(why(image_writer_cloopw, "none", 0, 65536), "");
    EXPECT_EQ(why(image_writer_cloopw, "zstd", 23, 65536), "level 23: codec zstd has 1..22");
    EXPECT_EQ(why(image_writer_cloopw, "zstd", 0, 65536), "level 0: codec zstd has 1..22");
    for (u32 bad : {0u, 1u, 512u, 2048u, 4097u, 12288u, 1u << 21, UINT32_MAX}) {
        EXPECT_NE(why(image_writer_cloopw, "zstd", 9, bad), "") << bad;
    }
    EXPECT_EQ(why(image_writer_cloop2, "zlib", 6, 512), "");
    EXPECT_EQ(why(image_writer_cloop2, "zlib", 6, 512 * 3), "");
    for (u32 bad : {0u, 511u, 513u, (4u << 20) + 512}) {
        EXPECT_NE(why(image_writer_cloop2, "zlib", 6, bad), "") << bad;
    }
    EXPECT_EQ(why(image_writer_cloop2, "zstd", 9, 65536),
              "codec zstd: cloop2 images can only use zlib");
    ImageWriterOptions label = writer_options("zstd");
    label.label = std::string(CW_LABEL_LEN + 1, 'x');
    EXPECT_NE(check_options(image_writer_cloopw, label), "");
    label = writer_options("zlib");
    label.label = "x";
    EXPECT_NE(check_options(image_writer_cloop2, label), "");
}

}  // namespace
}  // namespace cloopw::test
