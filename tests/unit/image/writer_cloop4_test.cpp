// SPDX-License-Identifier: GPL-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <tuple>

#include "support/data.h"
#include "support/images.h"
#include "support/make_image.h"

namespace cloopw::test {
namespace {

const ImageWriterFormat &kFormat = image_writer_cloop4;

/* Blocks that shrink, blocks that do not, zeros, and a last block that is not whole. */
Bytes mixed(u32 block_size) {
    Bytes plain = text_bytes(size_t{block_size} * 5);
    for (const Bytes &part : {random_bytes(size_t{block_size} * 4),
                              Bytes(size_t{block_size} * 3, 0), text_bytes(777 % block_size, 7)}) {
        plain.insert(plain.end(), part.begin(), part.end());
    }
    return plain;
}

Bytes padded(Bytes plain, u32 block_size) {
    plain.resize(cw_div_up(plain.size(), block_size) * block_size);
    return plain;
}

class WriterCloop4 : public testing::TestWithParam<std::tuple<const char *, u32>> {
protected:
    const char *codec() const { return std::get<0>(GetParam()); }
    u32 block_size() const { return std::get<1>(GetParam()); }

    Bytes plain_ = mixed(std::get<1>(GetParam()));
    MadeImage made_ = make_image(
        kFormat, writer_options(std::get<0>(GetParam()), std::get<1>(GetParam())), plain_);
};

INSTANTIATE_TEST_SUITE_P(Codecs, WriterCloop4,
                         testing::Combine(testing::Values("zlib", "none", "xz", "lz4", "lz4hc",
                                                          "lzo"),
                                          testing::Values(512u, 1536u, 65536u)));

TEST_P(WriterCloop4, IsReadAsWhatItWas) {
    EXPECT_EQ(read_image(made_.file), padded(plain_, block_size()));
    EXPECT_EQ(made_.stats.output_bytes, made_.file.size());
}

TEST_P(WriterCloop4, EachBlockNamesItsCodec) {
    const cw_codec *codec_row = cw_codec_by_name(codec());
    for (u64 n = 0; n < made_.stats.blocks; n++) {
        const u64 flags = get_be64(made_.file, cloop2_entry(n)) >> CW_CLOOP4_OFFSET_BITS
                                                                       << CW_CLOOP4_OFFSET_BITS;
        const bool shrinks = n < 5 || n >= 9;
        EXPECT_EQ(flags, cloop4_flags(shrinks ? *codec_row : cw_codec_none)) << n;
    }
}

TEST_P(WriterCloop4, NothingGrows) {
    const u64 blocks = made_.stats.blocks;
    EXPECT_LE(get_be64(made_.file, cloop2_entry(blocks)),
              cloop2_entry(blocks + 1) + blocks * block_size());
}

TEST(WriterCloop4Head, LooksAsReadersExpect) {
    const Bytes file = make_image(kFormat, writer_options("xz"), mixed(4096)).file;
    EXPECT_EQ(std::memcmp(file.data(), "#!/bin/sh\n#V4.0 Format\n", 23), 0);
    EXPECT_EQ(get_be64(file, 128), u64{4096} << 32 | 13);
    EXPECT_EQ(get_be64(file, cloop2_entry(0)), cloop2_entry(14) | cloop4_flags(cw_codec_xz));
    EXPECT_EQ(cw_round_up(get_be64(file, cloop2_entry(13)), CW_PAGE_SIZE), file.size());
}

TEST(WriterCloop4Size, SameWhetherItIsKnownOrNot) {
    const Bytes plain = mixed(4096);
    ImageWriterOptions options = writer_options("lzo");
    const Bytes unknown = make_image(kFormat, options, plain).file;
    options.size = plain.size();
    EXPECT_EQ(make_image(kFormat, options, plain).file, unknown);
}

TEST(WriterCloop4Options, CodecsItCannotStoreAreRefused) {
    EXPECT_EQ(check_options(kFormat, writer_options("zstd")),
              "codec zstd: cloop4 images can only use none, zlib, lz4, lz4hc, xz, lzo");
}

}  // namespace
}  // namespace cloopw::test
