// SPDX-License-Identifier: GPL-2.0
#include "tools/mkcloopw/mkcloopw.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "lib/image/image_writer.h"
#include "support/mkcloopw_tool.h"

namespace cloopw::test {
namespace {

/* ---- its main job ---- */

struct Way {
    const char *format;
    const char *codec;
    const char *block_size;
};

class MkcloopwWays : public Mkcloopw, public testing::WithParamInterface<Way> {
protected:
    Args args(const std::string &threads, const std::string &in, const std::string &out) const {
        return {"-F", GetParam().format,
                "-c", GetParam().codec,
                "-b", GetParam().block_size,
                "-j", threads,
                in,   out};
    }

    /* cloop2 knows whole blocks only. */
    Bytes expected() const {
        Bytes bytes = plain_;
        if (std::string(GetParam().format) == "cloop2") {
            size_t block = std::string(GetParam().block_size) == "512" ? 512 : 131072;
            bytes.resize((bytes.size() + block - 1) / block * block);
        }
        return bytes;
    }
};

INSTANTIATE_TEST_SUITE_P(All, MkcloopwWays,
                         testing::Values(Way{"cloopw", "none", "64K"}, Way{"cloopw", "zlib", "4K"},
                                         Way{"cloopw", "lz4", "64K"},
                                         Way{"cloopw", "lz4hc", "128K"},
                                         Way{"cloopw", "zstd", "4K"}, Way{"cloopw", "zstd", "1M"},
                                         Way{"cloop2", "zlib", "128K"},
                                         Way{"cloop2", "zlib", "512"}));

TEST_P(MkcloopwWays, RoundTrip) {
    expect_success(args("2", in_, out_));
    EXPECT_EQ(extract(out_), expected());
    EXPECT_EQ(dir_.names(), (std::vector<std::string>{"extracted", "in", "out"}));
}

TEST_P(MkcloopwWays, SameBytesFromAnyNumberOfThreads) {
    expect_success(args("1", in_, out_));
    Bytes one = read_bytes(out_);
    for (const char *threads : {"2", "3", "8"}) {
        expect_success(args(threads, in_, dir_ / threads));
        EXPECT_EQ(read_bytes(dir_ / threads), one) << threads;
    }
}

TEST_P(MkcloopwWays, SameBytesFromStandardInput) {
    expect_success(args("2", in_, out_));
    expect_success(args("2", "-", dir_ / "piped"), {plain_});
    EXPECT_EQ(read_bytes(dir_ / "piped"), read_bytes(out_));
}

TEST_P(MkcloopwWays, ExtractsToStandardOutput) {
    expect_success(args("2", in_, out_));
    ToolResult result = tool({"-x", "-q", "-j", "4", out_, "-"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.data, expected());
    EXPECT_EQ(result.out + result.err, "");
}

/* An image, too, though its head is written last. */
TEST_P(MkcloopwWays, CompressesToStandardOutput) {
    expect_success(args("2", in_, out_));
    ToolResult result = tool(args("2", in_, "-"));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.data, read_bytes(out_));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err.rfind("-: 1.", 0), 0u) << result.err;
    EXPECT_EQ(dir_.names(), (std::vector<std::string>{"in", "out"}));
}

TEST_F(Mkcloopw, NoRoomForWhatGoesToStandardOutput) {
    setenv("TMPDIR", (dir_ / "missing").c_str(), 1);
    expect_refusal(1,
                   dir_ / "missing" +
                       ": cannot hold a temporary file for what goes to standard output: No such "
                       "file or directory; set TMPDIR to a directory with room",
                   {in_, "-"});
    unsetenv("TMPDIR");
}

/* ---- from an image ---- */

TEST_F(Mkcloopw, AnImageStaysAsItIsUnlessToldOtherwise) {
    expect_success({"-c", "lz4hc", "-l", "5", "-b", "16K", "--label", "old", in_, out_});
    ToolResult result = tool({"--json", out_, dir_ / "again"});
    auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["codec"], "lz4hc");
    EXPECT_EQ(json["level"], 5);
    EXPECT_EQ(json["block_size"], 16384);
    EXPECT_EQ(json["label"], "old");
    EXPECT_EQ(json["compressed_blocks"], 0);
    EXPECT_GT(json["copied_blocks"], 0);
    EXPECT_EQ(read_bytes(dir_ / "again"), read_bytes(out_));

    struct Change {
        Args args;
        const char *key;
        nlohmann::json value;
    };
    int n = 0;
    for (const Change &change :
         {Change{{"-c", "zstd"}, "codec", "zstd"}, Change{{"-l", "7"}, "level", 7},
          Change{{"-b", "32K"}, "block_size", 32768}}) {
        Args args = {"--json", "--label", "", out_, dir_ / std::to_string(n++)};
        args.insert(args.begin(), change.args.begin(), change.args.end());
        result = tool(args);
        ASSERT_EQ(result.code, 0) << result.err;
        json = nlohmann::json::parse(result.out);
        EXPECT_EQ(json[change.key], change.value);
        EXPECT_EQ(json["copied_blocks"], 0) << change.key;
        EXPECT_GT(json["compressed_blocks"], 0) << change.key;
        EXPECT_EQ(json["label"], "");
        EXPECT_EQ(extract(args.back()), plain_);
    }
}

/* Blocks that are not decompressed must be checked all the same. */
TEST_F(Mkcloopw, DamagedBlocksAreNotCopied) {
    expect_success({"--no-dedupe", in_, out_});
    Bytes image = read_bytes(out_);
    image[CW_SUPER_LEN + 100] ^= 1;
    dir_.write("out", image);
    expect_refusal(1, out_ + ": cannot be read at byte 0", {out_, dir_ / "back"});
    expect_refusal(1, out_ + ": cannot be read at byte 0", {"-c", "lz4", out_, dir_ / "back"});
}

/* ---- the order of blocks ---- */

/* Where the blocks of an image are stored. */
std::vector<u64> places(const std::string &path) {
    Image image(Io::open(path, Io::Mode::kRead));
    auto *info = const_cast<cw_image *>(&image.info());
    std::vector<u64> places;
    for (u64 n = 0; n < info->blocks; n++) {
        cw_extent extent = {};
        EXPECT_EQ(info->format->locate(info, n, &extent), 0);
        places.push_back(extent.stored != 0 ? extent.offset : 0);
    }
    return places;
}

TEST_F(Mkcloopw, ListedBlocksComeFirst) {
    dir_.write("list", [] {
        const std::string text = "# read at boot\n 7 # the last\n\n3\r\n7\n0\n";
        return Bytes(text.begin(), text.end());
    }());
    expect_success({"--no-dedupe", "--order", dir_ / "list", in_, out_});
    EXPECT_EQ(extract(out_), plain_);
    std::vector<u64> at = places(out_);
    EXPECT_EQ(at[7], CW_SUPER_LEN);
    EXPECT_LT(at[7], at[3]);
    EXPECT_LT(at[3], at[0]);
    EXPECT_LT(at[0], at[1]);
    EXPECT_LT(at[1], at[2]);
    EXPECT_LT(at[2], at[4]);
    for (const char *threads : {"1", "3", "8"}) {
        expect_success(
            {"--no-dedupe", "-j", threads, "--order", dir_ / "list", in_, dir_ / threads});
        EXPECT_EQ(read_bytes(dir_ / threads), read_bytes(out_)) << threads;
    }
}

/* More blocks than an index page has room for, in every order there is. */
TEST_F(Mkcloopw, AnyOrderGivesTheSameImage) {
    std::string list;
    for (int n = 359; n >= 0; n--) {
        list += std::to_string(n * 7 % 360) + "\n";
    }
    dir_.write("list", Bytes(list.begin(), list.end()));
    expect_success({"-b", "4K", "--order", dir_ / "list", in_, out_});
    EXPECT_EQ(extract(out_), plain_);
}

/* The blocks of an image in the order of their places, up to the end of its boot area. */
std::vector<u64> boot_blocks(const std::string &path) {
    Image image(Io::open(path, Io::Mode::kRead));
    std::map<u64, u64> at;
    const std::vector<u64> all = places(path);
    for (u64 n = 0; n < all.size(); n++) {
        if (all[n] != 0 && all[n] < image.info().ahead.end) {
            at[all[n]] = n;
        }
    }
    std::vector<u64> blocks;
    for (const auto &[place, block] : at) {
        blocks.push_back(block);
    }
    return blocks;
}

TEST_F(Mkcloopw, ListedBlocksAreTheBootArea) {
    const std::string list = dir_.write("list", bytes_from("7\n3\n0\n"));
    expect_success({"--no-dedupe", "--order", list, in_, out_});
    EXPECT_EQ(boot_blocks(out_), (std::vector<u64>{7, 3, 0}));
    /* and without a list there is none */
    expect_success({"--no-dedupe", "-f", in_, out_});
    EXPECT_EQ(boot_blocks(out_), std::vector<u64>());
}

/* The index of an image with a boot area is what its last bytes are. */
TEST_F(Mkcloopw, TheIndexFollowsTheBlocks) {
    expect_success({"--no-dedupe", "-b", "4K", "--order",
                    dir_.write("list", bytes_from("300\n2\n")), in_, out_});
    Image image(Io::open(out_, Io::Mode::kRead));
    const std::vector<u64> at = places(out_);
    EXPECT_EQ(image.info().ahead.index_end - image.info().ahead.index, 2 * CW_INDEX_PAGE_LEN);
    EXPECT_LT(*std::max_element(at.begin(), at.end()),
              image.info().ahead.index - CW_INDEX_PAGE_LEN);
    EXPECT_EQ(extract(out_), plain_);
}

TEST_F(Mkcloopw, SeveralListsAreMerged) {
    const std::string a = dir_.write("a", bytes_from("1\n2\n3\n4\n"));
    const std::string b = dir_.write("b", bytes_from("9\n3\n2\n"));
    const std::string c = dir_.write("c", bytes_from("3\n8\n9\n"));
    expect_success({"--no-dedupe", "--order", a, "--order", b, "--order", c, in_, out_});
    EXPECT_EQ(boot_blocks(out_), (std::vector<u64>{3, 9, 2, 1, 8, 4}));
}

/* A record of an image with other blocks names the same bytes. */
TEST_F(Mkcloopw, ListsTellTheirBlockSize) {
    const std::string large =
        dir_.write("large", bytes_from("# blocks of 131072 bytes, read\n2\n1\n"));
    expect_success({"--no-dedupe", "--order", large, in_, out_});
    EXPECT_EQ(boot_blocks(out_), (std::vector<u64>{4, 5, 2, 3}));
    const std::string small =
        dir_.write("small", bytes_from("# blocks of 4096 bytes\n33\n34\n0\n"));
    expect_success({"--no-dedupe", "-f", "--order", small, in_, out_});
    EXPECT_EQ(boot_blocks(out_), (std::vector<u64>{2, 0}));
}

TEST_F(Mkcloopw, BadLists) {
    auto list = [&](const std::string &text) { return dir_.write("list", bytes_from(text)); };
    expect_refusal(1, "list:2: 'x' is no block number", {"--order", list("1\nx\n"), in_, out_});
    expect_refusal(1, "list:1: '-1' is no block number", {"--order", list("-1"), in_, out_});
    expect_refusal(1, "list:1: '1 2' is no block number", {"--order", list("1 2"), in_, out_});
    expect_refusal(1,
                   "list:1: there is no block 23, the last one is 22; was the list made for this "
                   "image and block size?",
                   {"--order", list("23"), in_, out_});
    expect_refusal(1, "list:2: there is no block 12, the last one is 11",
                   {"--order", list("# blocks of 131072 bytes\n12\n"), in_, out_});
    expect_refusal(1, "list:2: there is no block 368, the last one is 367",
                   {"--order", list("# blocks of 4096 bytes\n368\n"), in_, out_});
    expect_refusal(1, "list:1: no image has blocks of 1000 bytes",
                   {"--order", list("# blocks of 1000 bytes\n"), in_, out_});
    expect_refusal(1, "missing: cannot be opened", {"--order", dir_ / "missing", in_, out_});
    expect_refusal(1, "/dev/zero: has a line of more than 4095 bytes",
                   {"--order", "/dev/zero", in_, out_});
    expect_refusal(2, "--order: cloop2 images have their blocks in the image's order",
                   {"-F", "cloop2", "--order", list("1"), in_, out_});
    expect_refusal(2, "--order: standard input can only be read from the front to the back",
                   {"--order", list("1"), "-", out_});
    std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    int keep = open(fifo.c_str(), O_RDWR | O_CLOEXEC); /* so that opening it does not wait */
    expect_refusal(1, "fifo: can only be read from the front to the back, not with --order",
                   {"--order", list("1"), fifo, out_});
    expect_refusal(1, "fifo: is neither a file nor a block device", {"-x", fifo, out_});
    close(keep);
}

TEST_F(Mkcloopw, OddSizes) {
    for (size_t size : {size_t{1}, size_t{511}, size_t{512}, size_t{4095}, size_t{4096},
                        size_t{4097}, size_t{65535}, size_t{65536}, size_t{65537}}) {
        std::string in = dir_.write("odd", slice(plain_, 0, size));
        expect_success({"-f", "-I", "raw", in, out_});
        EXPECT_EQ(extract(out_), slice(plain_, 0, size)) << size;
    }
}

/* Every format that can be written, to every one, and the same bytes come out. */
TEST_F(Mkcloopw, ConvertsAnyFormatToAnyOther) {
    Bytes whole = plain_;
    whole.resize((whole.size() + 4095) / 4096 * 4096);
    std::string in = dir_.write("whole", whole);
    const std::vector<std::string> formats = {"cloopw", "cloop2", "cloop4"};
    for (const std::string &from : formats) {
        expect_success({"-q", "-F", from, "-b", "4K", "-l", "1", in, dir_ / from});
        for (const std::string &to : formats) {
            expect_success({"-q", "-f", "-F", to, "-b", "8K", "-l", "1", dir_ / from, out_});
            Bytes back = extract(out_);
            ASSERT_GE(back.size(), whole.size());
            back.resize(whole.size()); /* the last block of cloop's is a whole one */
            EXPECT_EQ(back, whole) << from << " to " << to;
        }
    }
}

TEST_F(Mkcloopw, ConvertsBetweenFormats) {
    expect_success({"-F", "cloop2", "-b", "4K", in_, dir_ / "cloop2"});
    expect_success({dir_ / "cloop2", dir_ / "cloopw"});
    Bytes whole = plain_;
    whole.resize((whole.size() + 4095) / 4096 * 4096);
    EXPECT_EQ(extract(dir_ / "cloopw"), whole);
    expect_success({"-F", "cloop2", "-b", "4K", dir_ / "cloopw", dir_ / "back"});
    EXPECT_EQ(read_bytes(dir_ / "back"), read_bytes(dir_ / "cloop2"));
}

TEST_F(Mkcloopw, TakesAnImageAsItIsWhenToldTo) {
    expect_success({in_, dir_ / "inner"});
    expect_success({"-I", "raw", dir_ / "inner", out_});
    EXPECT_EQ(extract(out_), read_bytes(dir_ / "inner"));
}

TEST_F(Mkcloopw, ReadsAFifo) {
    std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    std::jthread writer([&] {
        int fd = open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
        EXPECT_EQ(::write(fd, plain_.data(), plain_.size()), static_cast<ssize_t>(plain_.size()));
        close(fd);
    });
    expect_success({fifo, out_});
    EXPECT_EQ(extract(out_), plain_);
}

/* A file of a GiB with a few bytes of data, in and out. */
TEST_F(Mkcloopw, HolesCostNothing) {
    std::string sparse = dir_ / "sparse";
    int fd = open(sparse.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(ftruncate(fd, 1 << 30), 0);
    Bytes data = random_bytes(10000);
    for (off_t at : {off_t{0}, off_t{123456789}, off_t{(1 << 30) - 10000}}) {
        ASSERT_EQ(pwrite(fd, data.data(), data.size(), at), 10000);
    }
    close(fd);

    ToolResult result = tool({"--json", sparse, out_});
    ASSERT_EQ(result.code, 0) << result.err;
    auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["blocks"], 16384);
    EXPECT_GE(json["zero_blocks"], 16384 - 6);
    expect_success({"-x", "-q", out_, dir_ / "back"});

    struct stat st = {};
    ASSERT_EQ(stat((dir_ / "back").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, 1 << 30);
    EXPECT_LT(st.st_blocks, 1000);
    Image back(Io::open(dir_ / "back", Io::Mode::kRead), "raw");
    Bytes got(10000);
    for (u64 at : {u64{0}, u64{123456789}, u64{(1 << 30) - 10000}}) {
        back.read(got.data(), 10000, at);
        EXPECT_EQ(got, data) << at;
    }
    back.read(got.data(), 10000, 123456789 - 10000);
    EXPECT_EQ(got, Bytes(10000, 0));
}

/* ---- its output ---- */

TEST_F(Mkcloopw, TheUuidOfTheInputCanBeKept) {
    const std::string other = dir_ / "other";
    const std::string uuid = "01234567-89ab-cdef-0123-456789abcdef";
    ASSERT_EQ(tool({"--uuid", uuid, in_, out_}).code, 0);
    ToolResult result = tool({"--json", "--uuid", "same", "-c", "lz4", out_, other});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(nlohmann::json::parse(result.out)["uuid"], uuid);
    expect_refusal(1, in_ + ": has no UUID that --uuid same could keep; name one",
                   {"-f", "--uuid", "same", in_, other});
}

TEST_F(Mkcloopw, ProgressGoesToALog) {
    ToolResult result = tool({"--progress", in_, out_});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("%"), std::string::npos) << result.err;
    expect_refusal(2, "--progress and --quiet do not go together",
                   {"--progress", "-q", in_, dir_ / "other"});
}

TEST_F(Mkcloopw, JsonTellsEverything) {
    ToolResult result =
        tool({"--json", "--label", "demo", "-c", "zstd", "-l", "3", "-b", "4K", "--uuid",
              "01234567-89ab-cdef-0123-456789abcdef", "-j", "2", in_, out_});
    ASSERT_EQ(result.code, 0) << result.err;
    auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["input"], in_);
    EXPECT_EQ(json["output"], out_);
    EXPECT_EQ(json["format"], "cloopw");
    EXPECT_EQ(json["codec"], "zstd");
    EXPECT_EQ(json["level"], 3);
    EXPECT_EQ(json["block_size"], 4096);
    EXPECT_EQ(json["threads"], 2);
    EXPECT_EQ(json["input_bytes"], plain_.size());
    EXPECT_EQ(json["output_bytes"], read_bytes(out_).size());
    EXPECT_GT(json["ratio"], 1.0);
    EXPECT_EQ(json["blocks"], (plain_.size() + 4095) / 4096);
    EXPECT_GE(json["zero_blocks"], 90);
    EXPECT_GE(json["raw_blocks"], 70);
    EXPECT_GE(json["seconds"], 0.0);
    EXPECT_EQ(json["uuid"], "01234567-89ab-cdef-0123-456789abcdef");
    EXPECT_EQ(json["label"], "demo");

    result = tool({"--json", "-x", out_, dir_ / "back"});
    json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["output_bytes"], plain_.size());
    EXPECT_EQ(json["input_bytes"], read_bytes(out_).size());
}

/* Erased in the end, and an error begins a line of its own. */
TEST_F(Mkcloopw, ProgressOnATerminalOnly) {
    Bytes large = random_bytes(8 << 20);
    std::string in = dir_.write("large", large);
    const Args args = {"-f", "-c", "xz", "-j", "1", in, out_};
    EXPECT_EQ(tool(args).err, "");
    ToolInput terminal;
    terminal.terminal = true;
    ToolResult result = tool(args, terminal);
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.err.find("% ["), std::string::npos) << result.err;
    const std::string erased = "\r\x1b[K";
    ASSERT_GE(result.err.size(), erased.size());
    EXPECT_EQ(result.err.substr(result.err.size() - erased.size()), erased);
    Args quiet = args;
    quiet.emplace_back("-q");
    EXPECT_EQ(tool(quiet, terminal).err, "");
}

TEST_F(Mkcloopw, SummaryForPeople) {
    ToolResult result = tool({in_, out_});
    EXPECT_EQ(result.out.rfind(out_ + ": 1.4 MiB -> ", 0), 0u) << result.out;
    EXPECT_NE(result.out.find("zstd level 9"), std::string::npos) << result.out;
    EXPECT_EQ(result.err, "");
    result = tool({"-q", "-f", in_, out_});
    EXPECT_EQ(result.out + result.err, "");
}

/* ---- estimates ---- */

class MkcloopwEstimates : public Mkcloopw {
protected:
    /* All codecs of the format, each with an estimate near its real result. */
    void expect_estimates_are_right(const nlohmann::json &json, const std::string &in,
                                    const std::string &format, const std::string &block_size) {
        u32 codecs = 0;
        for (const auto &line : json["estimates"]) {
            std::string codec = line["codec"];
            codecs |= CW_CODEC_BIT(cw_codec_by_name(codec.c_str())->id);
            expect_success({"-q", "-f", "-b", block_size, "-F", format, "-c", codec, in, out_});
            double real = static_cast<double>(read_bytes(out_).size());
            EXPECT_NEAR(line["output_bytes"].get<double>() / real, 1, 0.1) << codec;
        }
        EXPECT_EQ(codecs, image_writer_format(format)->codecs);
    }
};

/* Small enough to be quick, with more blocks than are looked at. */
TEST_F(MkcloopwEstimates, EstimatesAreAboutRight) {
    Bytes large;
    for (unsigned seed = 0; seed < 5; seed++) {
        Bytes part = seed == 4 ? Bytes(200000) : text_bytes(160000, seed);
        large.insert(large.end(), part.begin(), part.end());
        part = random_bytes(40000, seed);
        large.insert(large.end(), part.begin(), part.end());
    }
    std::string in = dir_.write("large", large);
    for (const char *format : {"cloop2", "cloop4"}) {
        ToolResult result = tool({"--dry-run", "--json", "-F", format, "-b", "512", in});
        ASSERT_EQ(result.code, 0) << result.err;
        auto json = nlohmann::json::parse(result.out);
        EXPECT_EQ(json["input_bytes"], large.size());
        EXPECT_EQ(json["blocks"], (large.size() + 511) / 512);
        EXPECT_LT(json["sampled_blocks"], json["blocks"]);
        expect_estimates_are_right(json, in, format, "512");
    }
    ToolResult result = tool({"--dry-run", "--json", "-b", "4K", in});
    ASSERT_EQ(result.code, 0) << result.err;
    expect_estimates_are_right(nlohmann::json::parse(result.out), in, "cloopw", "4K");
}

TEST_F(MkcloopwEstimates, EstimatesWhatItIsAskedFor) {
    ToolResult result = tool({"--dry-run", "--json", "-c", "zstd", "-l", "3", "-b", "4K", in_});
    auto json = nlohmann::json::parse(result.out);
    ASSERT_EQ(json["estimates"].size(), 1u);
    EXPECT_EQ(json["estimates"][0]["codec"], "zstd");
    EXPECT_EQ(json["estimates"][0]["level"], 3);
    EXPECT_EQ(json["block_size"], 4096);
    result = tool({"--dry-run", in_});
    EXPECT_TRUE(std::regex_search(result.out, std::regex("CODEC +LEVEL"))) << result.out;
    EXPECT_TRUE(std::regex_search(result.out, std::regex("\nlz4hc +9"))) << result.out;
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"in"});

    expect_refusal(2, "--dry-run writes nothing; leave " + out_ + " out", {"--dry-run", in_, out_});
    expect_refusal(2, "INPUT is required", {"--dry-run"});
    expect_refusal(2, "--dry-run: standard input can only be read once", {"--dry-run", "-"});
    expect_refusal(2, "--dry-run and --extract do not go together", {"--dry-run", "-x", in_});
    std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    int keep = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
    expect_refusal(1, "fifo: is neither a file nor a block device", {"--dry-run", fifo});
    close(keep);
}

TEST_F(Mkcloopw, HelpFitsEightyColumns) {
    ToolResult result = tool({"--help"});
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    std::istringstream lines(result.out);
    std::string line;
    while (std::getline(lines, line)) {
        EXPECT_LE(line.size(), 80u) << line;
    }
    EXPECT_NE(result.out.find("\nExamples:\n  mkcloopw "), std::string::npos);
    EXPECT_EQ(tool({"--version"}).out.rfind("mkcloopw ", 0), 0u);
}

/*
 * The parser knows each option of the help; tests/manual compares the help with the manual.
 */
TEST_F(Mkcloopw, HelpNamesOptionsThatThereAre) {
    const std::string help = tool({"--help"}).out;
    const std::regex option("(^|[ ,])(--?[a-zA-Z][-a-z]*)");
    for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it) {
        const std::string name = (*it)[2];
        EXPECT_EQ(tool({name}).err.find("not expected"), std::string::npos) << name;
    }
}

TEST_F(Mkcloopw, ReproducibleAndDated) {
    expect_success({in_, out_});
    expect_success({in_, dir_ / "again"});
    EXPECT_EQ(read_bytes(out_), read_bytes(dir_ / "again"));
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    expect_success({in_, dir_ / "dated"});
    setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
    expect_refusal(2, "SOURCE_DATE_EPOCH=yesterday: is no number of seconds", {in_, dir_ / "x"});
    unsetenv("SOURCE_DATE_EPOCH");
    cw_disk_super super = {};
    Io::open(dir_ / "dated", Io::Mode::kRead).read(&super, sizeof(super), 0);
    EXPECT_EQ(cw_from_le64(super.created), 1700000000u);
}

TEST_F(Mkcloopw, DuplicatesAreStoredOnce) {
    Bytes twice = plain_;
    twice.resize((plain_.size() + 65535) / 65536 * 65536);
    Bytes half = twice;
    twice.insert(twice.end(), half.begin(), half.end());
    std::string in = dir_.write("twice", twice);
    expect_success({in, out_});
    expect_success({"--no-dedupe", in, dir_ / "each"});
    EXPECT_LT(read_bytes(out_).size() * 3 / 2, read_bytes(dir_ / "each").size());
    EXPECT_EQ(extract(out_), twice);
    EXPECT_EQ(extract(dir_ / "each"), twice);
}

/* ---- its refusals ---- */

TEST_F(Mkcloopw, UsageErrors) {
    expect_refusal(2, "INPUT is required", {});
    expect_refusal(2, "OUTPUT is required", {in_});
    expect_refusal(2, "", {in_, out_, "third"});
    expect_refusal(2, "--frobnicate", {"--frobnicate", in_, out_});
    expect_refusal(2, "Try 'mkcloopw --help'", {"--frobnicate", in_, out_});
    expect_refusal(2, "--format squash: there is no such format; know cloopw, cloop2",
                   {"-F", "squash", in_, out_});
    expect_refusal(2, "--codec lzx: there is no such codec; know none, zlib, lz4, lz4hc, zstd",
                   {"-c", "lzx", in_, out_});
    expect_refusal(2, "--input-format qcow2: there is no such format", {"-I", "qcow2", in_, out_});
    expect_refusal(2, "--level 23: codec zstd has 1..22", {"-l", "23", in_, out_});
    expect_refusal(2, "--level 0: codec zstd has 1..22", {"-l", "0", in_, out_});
    expect_refusal(2, "--level -5", {"-l", "-5", in_, out_});
    expect_refusal(2, "--level 2: codec lz4 has 1..1", {"-c", "lz4", "-l", "2", in_, out_});
    expect_refusal(2, "--level", {"-l", "high", in_, out_});
    expect_refusal(2, "--codec zstd: cloop2 images can only use zlib",
                   {"-F", "cloop2", "-c", "zstd", in_, out_});
    expect_refusal(2, "neither label nor UUID", {"-F", "cloop2", "--label", "x", in_, out_});
    expect_refusal(2, "--label: longer than 64", {"--label", std::string(65, 'x'), in_, out_});
    expect_refusal(2, "--uuid 1234: is no UUID", {"--uuid", "1234", in_, out_});
    expect_refusal(2, "--threads 0: must be within 1..1024", {"-j", "0", in_, out_});
    expect_refusal(2, "--threads -1", {"-j", "-1", in_, out_});
    expect_refusal(2, "--extract cannot read standard input: an image is read in any order",
                   {"-x", "-", out_});
    expect_refusal(2, "--from-dir: the directory is named twice, " + dir_.path() + " and " + in_,
                   {"--from-dir", dir_.path(), in_, out_});
    expect_refusal(2, "--dry-run: standard input can only be read once; name a file",
                   {"--dry-run", "-"});
}

TEST_F(Mkcloopw, BlockSizes) {
    for (const char *bad : {"0", "1", "512", "4095", "4097", "12K", "2M", "1T", "16E"}) {
        expect_refusal(2, "block", {"-b", bad, in_, out_});
    }
    for (const char *bad : {"-4096", "big", "4X", ""}) {
        expect_refusal(2, "--block-size", {"-b", bad, in_, out_});
    }
    for (const char *bad : {"0", "511", "513", "8M", "5G"}) {
        expect_refusal(2, "must be a multiple of 512", {"-F", "cloop2", "-b", bad, in_, out_});
    }
}

TEST_F(Mkcloopw, BadInput) {
    expect_refusal(1, dir_ / "missing" + ": cannot be opened: No such file or directory",
                   {dir_ / "missing", out_});
    expect_refusal(1, dir_.path() + ": is a directory", {dir_.path(), out_});
    expect_refusal(1, "is empty", {dir_.write("empty", {}), out_});
    expect_refusal(1, "standard input: is empty", {"-", out_}, {Bytes()});
    expect_refusal(1, "/dev/null: is neither a file nor a block device", {"/dev/null", out_});
    expect_refusal(1, "is no cloopw image", {"-I", "cloopw", in_, out_});
    expect_refusal(1, "cannot be opened", {"-x", dir_ / "missing", out_});
    expect_refusal(1, "is a directory", {"-x", dir_.path(), out_});
}

TEST_F(Mkcloopw, UnreadableInput) {
    std::string secret = dir_.write("secret", plain_);
    ASSERT_EQ(chmod(secret.c_str(), 0), 0);
    if (geteuid() != 0) {
        expect_refusal(1, "Permission denied", {secret, out_});
        return;
    }
    /* root reads everything, so be another user for a moment */
    ASSERT_EQ(chmod(dir_.path().c_str(), 0777), 0);
    ASSERT_EQ(seteuid(65534), 0);
    expect_refusal(1, "Permission denied", {secret, out_});
    ASSERT_EQ(seteuid(0), 0);
}

TEST_F(Mkcloopw, BadOutput) {
    dir_.write("out", {1});
    expect_refusal(1, out_ + ": exists already; use --force to overwrite it", {in_, out_});
    expect_refusal(1, "exists already", {"-x", "-I", "raw", in_, out_});
    EXPECT_EQ(read_bytes(out_), Bytes{1});
    expect_refusal(1, "its directory must exist", {in_, dir_ / "missing/out"});
    expect_refusal(1, "is a directory", {"-f", in_, dir_.path()});
    expect_refusal(1, "is the input", {in_, in_});
    expect_refusal(1, "is the input", {"-f", in_, in_});
    expect_refusal(1, "is the input", {"-f", "-x", "-I", "raw", in_, in_});
    EXPECT_EQ(read_bytes(in_), plain_);
}

/* ---- inputs that are no disk ---- */

struct Foreign {
    const char *name;
    const char *begin;
    size_t len;
    const char *says;
};

/*
 * For a file of another program, the message names the command that makes a raw image of
 * it.
 */
TEST_F(Mkcloopw, WhatOtherProgramsMadeIsNotTakenForRaw) {
    const Foreign kinds[] = {
        {"q.qcow2", "QFI\xfb\0\0\0\3", 8,
         "is a qcow2 image, not an image that cloopw reads: "
         "'qemu-img convert -O raw FILE RAW' unpacks it"},
        {"v.vmdk", "KDMV", 4, "is a VMDK image"},
        {"v.vhd", "conectix", 8, "qemu-img convert -f vpc"},
        {"v.vhdx", "vhdxfile", 8, "is a VHDX image"},
        {"i.gz", "\x1f\x8b\x08", 3, "'gzip -dc FILE >RAW'"},
        {"i.xz",
         "\xfd"
         "7zXZ\0",
         6, "'xz -dc FILE >RAW'"},
        {"i.zst", "\x28\xb5\x2f\xfd", 4, "'zstd -dc FILE >RAW'"},
        {"i.bz2", "BZh9", 4, "'bzip2 -dc FILE >RAW'"},
        {"page", "\n<!DOCTYPE html>\n", 17, "is a page of text"},
        {"error", "Not Found\n", 10, "is a page of text"},
        {"x.cloopw", "", 0, "is named as a compressed image"},
    };
    for (const Foreign &kind : kinds) {
        Bytes bytes(kind.begin, kind.begin + kind.len);
        bytes.resize(kind.says == std::string("is a page of text") ? kind.len : 100000, 0);
        const std::string file = dir_.write(kind.name, bytes);
        expect_refusal(1, kind.says, {file, out_});
        expect_refusal(1, kind.says, {"-x", file, out_});
        expect_refusal(1, kind.says, {"--dry-run", file});
        if (*kind.begin != '\0') {
            ToolResult result = tool({"-", out_}, {bytes});
            EXPECT_EQ(result.code, 1) << kind.name;
            EXPECT_NE(result.err.find(kind.says), std::string::npos) << result.err;
        }
        expect_success({"-q", "-I", "raw", file, out_});
        EXPECT_EQ(extract(out_), bytes);
        std::filesystem::remove(out_);
        std::filesystem::remove(dir_ / "extracted");
    }
    Bytes vdi(4096, 0);
    memcpy(vdi.data() + 64, "\x7f\x10\xda\xbe", 4);
    expect_refusal(1, "is a VDI image", {dir_.write("v.vdi", vdi), out_});
    Bytes vhd = random_bytes(10240);
    memcpy(vhd.data() + vhd.size() - 512, "conectix", 8);
    expect_refusal(1, "is a VHD image", {dir_.write("fixed.vhd", vhd), out_});
    Bytes image(100000, 0);
    memcpy(image.data(), CW_LOG_MAGIC, 8);
    expect_refusal(1, "is a COW file, not an image", {dir_.write("cow", image), out_});
    expect_refusal(1, "is nothing that is known", {"-x", in_, out_});
}

TEST_F(Mkcloopw, AnImageFromStandardInputIsNotPackedAgain) {
    expect_success({"-q", in_, out_});
    ToolResult result = tool({"-q", "-", dir_ / "again"}, {read_bytes(out_)});
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("is an image of format cloopw, which is read in any order; name a "
                              "file"),
              std::string::npos)
        << result.err;
}

TEST_F(Mkcloopw, DamagedImageIsNotExtracted) {
    expect_success({"--no-dedupe", in_, out_});
    Bytes image = read_bytes(out_);
    image[CW_SUPER_LEN + 100] ^= 1;
    dir_.write("out", image);
    expect_refusal(1, out_ + ": cannot be read at byte 0", {"-x", out_, dir_ / "back"});
    expect_refusal(1, out_ + ": cannot be read at byte 0", {out_, dir_ / "back"});
    image.resize(image.size() - CW_PAGE_SIZE);
    dir_.write("out", image);
    expect_refusal(1, "truncated", {"-x", out_, dir_ / "back"});
}

TEST_F(Mkcloopw, OutputIsALinkToNothing) {
    std::string link = dir_ / "link";
    ASSERT_EQ(symlink((dir_ / "nothing").c_str(), link.c_str()), 0);
    expect_refusal(1, link + ": is a symbolic link to nothing; name what it should be",
                   {in_, link});
    expect_refusal(1, "/dev/null: is neither a file nor a block device", {in_, "/dev/null"});
}

TEST_F(Mkcloopw, StandardOutputIsFull) {
    expect_success({"-q", in_, out_});
    for (const std::string &args : {"-q " + in_ + " -", "-q -x " + out_ + " -"}) {
        std::string said = dir_ / "said";
        std::string command = std::string(MKCLOOPW_PROGRAM) + " " + args + " >/dev/full 2>" + said;
        EXPECT_NE(std::system(command.c_str()), 0);
        Bytes text = read_bytes(said);
        EXPECT_NE(std::string(text.begin(), text.end())
                      .find("standard output: cannot be written: No space left on device; make "
                            "room or name an output elsewhere"),
                  std::string::npos)
            << std::string(text.begin(), text.end());
    }
}

/* The nearest to a full disk that a test may make. */
TEST_F(Mkcloopw, FileTooLarge) {
    struct rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {100000, before.rlim_max};
    auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_refusal(1, "File too large; the file system, or 'ulimit -f', has no files that long",
                   {in_, out_});
    expect_refusal(1, "File too large", {"-F", "cloop2", in_, out_});
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)std::signal(SIGXFSZ, old_handler);
}

/* ---- being stopped ---- */

TEST_F(Mkcloopw, StopsWhenCancelled) {
    std::atomic<bool> cancelled = true;
    for (const Args &args :
         {Args{in_, out_}, Args{"-x", "-I", "raw", in_, out_}, Args{"-", out_}}) {
        ToolResult result = tool(args, {plain_}, cancelled);
        EXPECT_EQ(result.code, 1);
        EXPECT_EQ(result.err, "mkcloopw: " + out_ + ": interrupted; nothing was left behind\n");
        EXPECT_EQ(dir_.names(), std::vector<std::string>{"in"});
    }
}

/* Only a complete file replaces an existing one. */
TEST_F(Mkcloopw, WhatWasThereStaysWhenCancelled) {
    const Bytes before = {1, 2, 3};
    dir_.write("out", before);
    std::atomic<bool> cancelled = true;
    EXPECT_EQ(tool({"-f", in_, out_}, {}, cancelled).code, 1);
    EXPECT_EQ(tool({"-f", "-x", in_, out_}, {}, cancelled).code, 1);
    EXPECT_EQ(read_bytes(out_), before);
    EXPECT_EQ(dir_.names(), (std::vector<std::string>{"in", "out"}));
}

/* A pipe that nobody writes to must not keep it. */
TEST_F(Mkcloopw, StopsWhileItWaitsForInput) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    ASSERT_EQ(::write(ends[1], plain_.data(), 50000), 50000);
    std::atomic<bool> cancelled = false;
    std::jthread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        cancelled = true;
    });
    ToolResult result = tool({"-", out_}, {{}, ends[0], false}, cancelled);
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"in"});
    close(ends[0]);
    close(ends[1]);
}

/* Like after nohup: a signal that was ignored at the start is not caught. */
TEST_F(Mkcloopw, IgnoredSignalsStayIgnored) {
    for (const char *signal : {"HUP", "INT", "TERM"}) {
        const std::string script = std::string("trap \"\" ") + signal + "; (sleep 0.5; cat " + in_ +
                                   ") | " MKCLOOPW_PROGRAM " -q -f - " + out_ +
                                   " & sleep 0.3; kill -" + signal + " 0; wait";
        EXPECT_EQ(std::system(("setsid -w sh -c '" + script + "'").c_str()), 0) << signal;
        EXPECT_EQ(extract(out_), plain_) << signal;
        std::filesystem::remove(out_);
    }
}

/* The next open file must not become standard input: it would read itself. */
TEST_F(Mkcloopw, ClosedStandardInputAndOutputAreErrors) {
    const std::string tool = MKCLOOPW_PROGRAM;
    EXPECT_NE(std::system((tool + " -q - " + out_ + " <&- 2>/dev/null").c_str()), 0);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"in"});
    EXPECT_NE(std::system((tool + " -q " + in_ + " - >&- 2>/dev/null").c_str()), 0);
    EXPECT_EQ(std::system((tool + " -q " + in_ + " " + out_ + " >&- 2>&-").c_str()), 0);
    EXPECT_EQ(extract(out_), plain_);
}

/* The program itself: dies of the signal, leaves nothing. */
TEST_F(Mkcloopw, SignalsEndTheProgram) {
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
        pid_t pid = fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            dup2(ends[0], STDIN_FILENO);
            dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
            execl(MKCLOOPW_PROGRAM, "mkcloopw", "-", out_.c_str(), nullptr);
            _exit(127);
        }
        close(ends[0]);
        /* More than a pipe holds: when it is gone the program is at work. */
        for (int i = 0; i < 4; i++) {
            ASSERT_EQ(::write(ends[1], plain_.data(), plain_.size()),
                      static_cast<ssize_t>(plain_.size()));
        }
        ASSERT_EQ(kill(pid, signal), 0);
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_TRUE(WIFSIGNALED(status));
        EXPECT_EQ(WTERMSIG(status), signal);
        EXPECT_EQ(dir_.names(), std::vector<std::string>{"in"});
        close(ends[1]);
    }
}

}  // namespace
}  // namespace cloopw::test
