// SPDX-License-Identifier: GPL-2.0
/* Against Debian's own tools, package cloop-utils. */
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "support/data.h"
#include "support/images.h"
#include "support/make_image.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

const ImageWriterFormat &kFormat = image_writer_cloop2;

/* extract_compressed_fs divides by a tenth of the number of blocks. */
constexpr size_t kMinBlocks = 10;

Bytes mixed(u32 block_size) {
    Bytes plain = text_bytes(size_t{block_size} * 5);
    for (const Bytes &part :
         {random_bytes(size_t{block_size} * 4), Bytes(size_t{block_size} * 3, 0),
          slice(plain, 0, size_t{block_size} * 2), text_bytes(777, 7)}) {
        plain.insert(plain.end(), part.begin(), part.end());
    }
    return plain;
}

Bytes padded(Bytes plain, u32 block_size) {
    plain.resize(cw_div_up(plain.size(), block_size) * block_size);
    return plain;
}

void run_command(const std::string &command) {
    ASSERT_EQ(std::system(("(" + command + ") >/dev/null 2>&1").c_str()), 0) << command;
}

class WriterCloop2 : public testing::TestWithParam<u32> {
protected:
    ScratchDir dir_;
};

TEST_P(WriterCloop2, OldToolExtractsOurs) {
    Bytes plain = mixed(GetParam());
    MadeImage made = make_image(kFormat, writer_options("zlib", GetParam()), plain);
    ASSERT_GE(made.stats.blocks, kMinBlocks);
    std::string image = dir_.write("image", made.file);
    run_command("extract_compressed_fs " + image + " " + (dir_ / "plain"));
    EXPECT_EQ(read_bytes(dir_ / "plain"), padded(plain, GetParam()));
}

TEST_P(WriterCloop2, WeReadOurs) {
    Bytes plain = mixed(GetParam());
    MadeImage made = make_image(kFormat, writer_options("zlib", GetParam()), plain);
    EXPECT_EQ(read_image(made.file), padded(plain, GetParam()));
    EXPECT_EQ(made.stats.output_bytes, made.file.size());
    EXPECT_EQ(made.stats.input_bytes, plain.size());
    EXPECT_EQ(made.stats.zero_blocks, 3u);
    EXPECT_EQ(made.stats.duplicate_blocks, 0u);
}

TEST_P(WriterCloop2, SameWhetherTheSizeIsKnownOrNot) {
    Bytes plain = mixed(GetParam());
    ImageWriterOptions options = writer_options("zlib", GetParam());
    Bytes unknown = make_image(kFormat, options, plain).file;
    options.size = plain.size();
    EXPECT_EQ(make_image(kFormat, options, plain).file, unknown);
}

INSTANTIATE_TEST_SUITE_P(BlockSizes, WriterCloop2,
                         testing::Values(512u, 1536u, 4096u, 65536u, 131072u, 1u << 20));

/* create_compressed_fs refuses blocks of 512 bytes. */
class OldCloop2 : public WriterCloop2 {};

TEST_P(OldCloop2, WeReadIt) {
    Bytes plain = mixed(GetParam());
    std::string file = dir_.write("plain", plain);
    run_command("create_compressed_fs -q -B " + std::to_string(GetParam()) + " " + file + " " +
                (dir_ / "image"));
    Bytes got = read_image(read_bytes(dir_ / "image"));
    ASSERT_GE(got.size(), plain.size());
    EXPECT_EQ(slice(got, 0, plain.size()), plain);
    EXPECT_EQ(slice(got, plain.size(), got.size() - plain.size()),
              Bytes(got.size() - plain.size(), 0));
}

INSTANTIATE_TEST_SUITE_P(BlockSizes, OldCloop2,
                         testing::Values(1536u, 4096u, 65536u, 131072u, 1u << 20));

TEST(WriterCloop2Head, LooksAsOldReadersExpect) {
    MadeImage made = make_image(kFormat, writer_options("zlib"), mixed(4096));
    cw_disk_cloop_head head = {};
    std::memcpy(&head, made.file.data(), sizeof(head));
    EXPECT_EQ(std::memcmp(head.preamble, "#!/bin/sh\n#V2.0 Format\n", 23), 0);
    EXPECT_EQ(std::memcmp(head.preamble + 0x0b, "V2.0", 4), 0);
    EXPECT_EQ(cw_from_be32(head.block_size), 4096u);
    EXPECT_EQ(cw_from_be32(head.blocks), made.stats.blocks);
    /* The first stream right behind the offsets, the last one ends the file but for padding. */
    EXPECT_EQ(get_be64(made.file, cloop2_entry(0)), cloop2_entry(made.stats.blocks + 1));
    const u64 end = get_be64(made.file, cloop2_entry(made.stats.blocks));
    EXPECT_EQ(made.file.size(), cw_round_up(end, CW_PAGE_SIZE));
    EXPECT_TRUE(all_zero(&made.file[end], made.file.size() - end));
}

TEST(WriterCloop2Head, PreambleIsAScriptThatExplainsItself) {
    ScratchDir dir;
    std::string image =
        dir.write("image", make_image(kFormat, writer_options("zlib"), mixed(4096)).file);
    EXPECT_NE(std::system(("sh " + image + " 2>" + (dir / "said")).c_str()), 0);
    Bytes said = read_bytes(dir / "said");
    EXPECT_NE(std::string(said.begin(), said.end()).find("cloopwsetup"), std::string::npos);
}

TEST(WriterCloop2Finish, WrongSizeIsAnError) {
    ImageWriterOptions options = writer_options("zlib");
    options.size = 4096 * 3;
    Io io = Io::memory("image");
    auto writer = kFormat.create(io, options);
    feed(*writer, options, text_bytes(4096 * 2));
    EXPECT_THROW(writer->finish(), Error);
}

TEST(WriterCloop2Finish, BeforeItTheFileIsNoImage) {
    ImageWriterOptions options = writer_options("zlib");
    Io io = Io::memory("image", make_image(kFormat, options, mixed(4096)).file);
    auto writer = kFormat.create(io, options);
    feed(*writer, options, mixed(4096));
    EXPECT_THROW(Image(Io::memory("image", bytes_of(io)), "cloop2"), Error);
}

}  // namespace
}  // namespace cloopw::test
