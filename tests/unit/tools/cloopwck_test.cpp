// SPDX-License-Identifier: GPL-2.0
/* The command line of cloopwck, and images of each format. */
#include <gtest/gtest.h>

#include <algorithm>

#include "support/cloopwck_tool.h"
#include "support/data.h"
#include "support/hooks.h"

namespace cloopw::test {
namespace {

/* ---- the command line ---- */

TEST_F(Cloopwck, HelpFitsEightyColumns) {
    ToolResult result = tool({"--help"});
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.out.find("\nExamples:\n  cloopwck "), std::string::npos);
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) {
        EXPECT_LE(line.size(), 80u) << line;
    }
    for (const char *option :
         {"--cow", "--no-change", "--yes", "--salvage", "--force", "--quick", "--dump",
          "--input-format", "--json", "--quiet", "--verbose", "--version"}) {
        EXPECT_NE(result.out.find(option), std::string::npos) << option;
    }
    EXPECT_EQ(tool({"-h"}).out, result.out);
}

TEST_F(Cloopwck, VersionIsPrinted) {
    EXPECT_EQ(expect(0, "cloopwck ", {"--version"}), tool({"-V"}).out);
}

TEST_F(Cloopwck, WrongUsageIs16) {
    std::string file = write("raw", text_bytes(5000));
    expect(16, "FILE is required", {});
    expect(16, "--help", {"--no-such-option", file});
    expect(16, "--cow: name one IMAGE", {"-c", file, file, file});
    expect(16, "--salvage: name one FILE", {"-s", path("out"), file, file});
    expect(16, "--force: only OUT", {"-f", file});
    expect(16, "--yes and --no-change", {"-y", "-n", file});
    expect(16, "--yes and --salvage", {"-y", "-s", path("out"), file});
    expect(16, "--yes and --dump", {"-y", "--dump", file});
    expect(16, "--salvage and --dump", {"--dump", "-s", path("out"), file});
    expect(16, "--salvage and --quick", {"--quick", "-s", path("out"), file});
    expect(16, "--json and --dump", {"--json", "--dump", file});
    expect(16, "--quiet and --verbose", {"-q", "-v", file});
    expect(16, "--progress and --quiet", {"--progress", "-q", file});
    expect(16, "--input-format qcow: there is no such format; know", {"-I", "qcow", file});
}

/* ---- text from files and names is shown, not obeyed ---- */

bool has_control_characters(const std::string &text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == '\x7f');
    });
}

TEST_F(Cloopwck, ControlCharactersOfAHeaderDoNotReachTheTerminal) {
    const std::string evil =
        "a\x1b[2Jb\x07\r"
        "c\nfile: clean";
    std::string base = write("base", text_bytes(kCowDevice));
    std::string log = make_cow("log", evil);
    UmlSpec spec;
    spec.size = kCowDevice;
    spec.base = evil;
    std::string uml = write("uml", uml_cow(spec));
    Bytes image = native_image(text_bytes(20000), 4096, cw_codec_lz4);
    change_super(&image,
                 [](cw_disk_super *super) { memcpy(super->label, "\x1b]0;title\x07", 11); });
    std::string labelled = write("image", image);
    for (const Args &args : {Args{log},
                             {"-v", log},
                             {"--dump", log},
                             {uml},
                             {"-v", uml},
                             {"--dump", uml},
                             {"-v", labelled},
                             {"--dump", labelled},
                             {"-c", log, "-c", uml, base},
                             {evil},
                             {"--" + evil}}) {
        ToolResult result = tool(args);
        EXPECT_FALSE(has_control_characters(result.out + result.err)) << args.back();
        EXPECT_EQ(result.out.find("\nfile: clean"), std::string::npos) << args.back();
        EXPECT_NE((result.out + result.err).find("\\x1b"), std::string::npos) << args.back();
    }
    EXPECT_EQ(json::parse(tool({"--json", log}).out)["files"][0]["below"], evil);
}

TEST_F(Cloopwck, WhatCannotBeOpenedIs8) {
    expect(8, "cannot be opened: No such file", {path("nothing")});
    expect(8, "is a directory", {dir_.path()});
    expect(8, "No such file", {"-c", path("nothing"), write("raw", Bytes(4096))});
}

TEST_F(Cloopwck, InterruptedIs32) {
    std::string file = write("raw", text_bytes(5000));
    const std::atomic<bool> cancelled = true;
    ToolResult result = tool({file}, cancelled);
    EXPECT_EQ(result.code, 32);
    EXPECT_EQ(result.err, "cloopwck: interrupted\n");
    result = tool({"-s", path("out"), file}, cancelled);
    EXPECT_EQ(result.code, 32);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"raw"});
}

TEST_F(Cloopwck, ProgressIsShownOnATerminalOnly) {
    std::string file = write("image", native_image(random_bytes(3 << 20), 65536, cw_codec_none));
    ToolInput terminal;
    terminal.terminal = true;
    auto body = [&](Streams &streams) { return cloopwck({file}, streams, kNotCancelled); };
    EXPECT_NE(test::run(body, terminal).err.find("%"), std::string::npos);
    EXPECT_EQ(test::run(body).err, "");
    auto quiet = [&](Streams &streams) { return cloopwck({"-q", file}, streams, kNotCancelled); };
    EXPECT_EQ(test::run(quiet, terminal).err, "");
}

TEST_F(Cloopwck, ProgressGoesToALog) {
    std::string file = write("image", native_image(random_bytes(3 << 20), 65536, cw_codec_none));
    const ToolResult result = tool({"--progress", file});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.err.find("%"), std::string::npos) << result.err;
    EXPECT_EQ(result.err.find('\r'), std::string::npos) << result.err;
}

/* ---- sound images ---- */

/* A disk with one partition. */
Bytes with_partition(Bytes disk) {
    std::fill_n(disk.begin() + 446, 64, u8{0});
    disk[446 + 4] = 0x83;
    disk[446 + 8] = 1;
    disk[446 + 12] = 100;
    disk[510] = 0x55;
    disk[511] = 0xaa;
    return disk;
}

/* A download that is a page of HTML must not be called clean. */
TEST_F(Cloopwck, WhatIsNotKnownIs8) {
    const std::string page = write("p.cloopw", {'<', 'h', 't', 'm', 'l', '>'});
    const std::string noise = write("noise", random_bytes(100000));
    const std::string cow = make_cow("cow", noise);
    expect(8, "is a page of text", {page});
    expect(8, "is a page of text", {"-c", cow, page});
    expect(8, "is nothing that is known: no image, no file system, no partition table", {noise});
    expect(0, "raw image", {"-I", "raw", noise});
    expect(0, "raw image", {write("disk", with_partition(random_bytes(100000)))});
    expect(4, "is an image of format cloopw, not a COW file",
           {"-c", write("image", native_image(random_bytes(9000), 4096, cw_codec_none)), noise});
}

TEST_F(Cloopwck, SoundImagesOfAllFormatsAreClean) {
    const Bytes plain = text_bytes(100000);
    Bytes sparse = plain;
    sparse.resize(500000);
    std::vector<std::string> files = {
        write("raw", with_partition(plain)),
        write("cloopw", make_image(image_writer_cloopw, writer_options("zstd"), sparse).file),
        write("cloop2", make_image(image_writer_cloop2, writer_options("zlib"), plain).file),
        write("cloop4", make_image(image_writer_cloop4, writer_options("xz"), plain).file),
        write("cloop068", cloop_image({0, false, 4096, {&cw_codec_zlib}}, plain)),
        write("trailing", cloop_image({4, true, 4096, {&cw_codec_lz4, &cw_codec_none}}, plain)),
    };
    for (const std::string &file : files) {
        expect_clean({file});
        expect_clean({"-n", file});
        expect_clean({"--quick", file});
        expect_clean({"-y", file});
    }
    expect_clean(files);
    EXPECT_NE(tool({files[1]}).out.find("cloopw image of 488.3 KiB, 123 blocks of 4.0 KiB"),
              std::string::npos)
        << tool({files[1]}).out;
}

TEST_F(Cloopwck, QuietVerboseAndJsonSayLessMoreAndTheSame) {
    std::string file = write(
        "image", make_image(image_writer_cloopw, writer_options("zstd"), text_bytes(50000)).file);
    EXPECT_EQ(tool({"-q", file}).out, "");
    EXPECT_NE(tool({"-v", file}).out.find("block_size"), std::string::npos);
    json result = json::parse(tool({"--json", file}).out);
    EXPECT_EQ(result["exit_code"], 0);
    EXPECT_EQ(result["files"][0]["format"], "cloopw");
    EXPECT_EQ(result["files"][0]["kind"], "image");
    EXPECT_EQ(result["files"][0]["state"], "clean");
    EXPECT_EQ(result["files"][0]["size"], 50000);
    EXPECT_TRUE(result["files"][0]["findings"].empty());
}

TEST_F(Cloopwck, TheFormatCanBeNamed) {
    Bytes image = make_image(image_writer_cloopw, writer_options("zstd"), text_bytes(50000)).file;
    image[0] = 'x';
    std::string file = write("image", image);
    EXPECT_NE(tool({"-I", "raw", file}).out.find("raw image"), std::string::npos);
    expect(4, "is no cloopw image", {"-I", "cloopw", file});
}

TEST_F(Cloopwck, AnImageAsLargeAsCanBeIsCheckedAtOnce) {
    NativeBuilder builder(u64{1} << 50, 4096);
    builder.add(0, text_bytes(4096), cw_codec_lz4);
    builder.add((u64{1} << 38) - 1, text_bytes(4096, 2), cw_codec_lz4);
    expect_clean({write("image", builder.finish())});
}

TEST_F(Cloopwck, AnIndexWithoutEndIsNotFollowed) {
    NativeBuilder builder(u64{1} << 44, 4096);
    builder.add(0, text_bytes(4096), cw_codec_lz4);
    /* Each level refers to one page again and again. */
    builder.on_page = [](u32 /*level*/, u64 /*n*/, cw_disk_index_page *page) {
        for (cw_disk_ref &ref : page->ref) {
            ref = page->ref[0];
        }
    };
    expect(4, "again and again", {write("image", builder.finish())});
    expect(8, "again and again", {"-s", path("out"), path("image")});
}

/* ---- damaged images ---- */

class CloopwckDamage : public Cloopwck {
protected:
    Bytes plain_ = random_bytes(40960);
    Bytes image_ = make_image(image_writer_cloopw, writer_options("none"), plain_).file;
};

TEST_F(CloopwckDamage, ABlockIsNamedByItsBytes) {
    image_[4096 + 3 * 4096 + 7] ^= 1;
    image_[4096 + 4 * 4096 + 7] ^= 1;
    std::string file = write("image", image_);
    std::string out = expect(4, "bytes 12288..20479: the checksum is wrong", {file});
    EXPECT_NE(out.find("image: damaged"), std::string::npos) << out;
    expect(4, "error: block", {"-q", file});
    expect(0, "their data not read", {"--quick", file});
    json result = json::parse(tool({"--json", file}).out);
    EXPECT_EQ(result["exit_code"], 4);
    json finding = result["files"][0]["findings"][0];
    EXPECT_EQ(finding["offset"], 12288);
    EXPECT_EQ(finding["length"], 8192);
    EXPECT_EQ(finding["kind"], "error");
    EXPECT_EQ(finding["what"], "block");
    EXPECT_EQ(result["files"][0]["bad_bytes"], 8192);
    EXPECT_EQ(result["files"][0]["state"], "damaged");
}

TEST_F(CloopwckDamage, AnIndexPageTakesAllBelowItAlong) {
    NativeBuilder builder(600 * 4096, 4096);
    for (u64 n = 0; n < 600; n++) {
        builder.add(n, random_bytes(4096, static_cast<unsigned int>(n)), cw_codec_none);
    }
    builder.on_page_ref = [](u32 level, u64 n, cw_disk_ref *ref) {
        if (level == 0 && n == 1) {
            ref->crc = cw_to_le32(1);
        }
    };
    std::string file = write("image", builder.finish());
    expect(4, "bytes 1048576..2097151: the index page that leads here", {file});
    expect(4, "index page", {"--quick", file});
}

TEST_F(CloopwckDamage, ATruncatedImageSaysWhatIsLost) {
    u64 whole = image_.size();
    image_.resize(4096 + 5 * 4096);
    std::string file = write("image", image_);
    std::string out = expect(4, "truncated: the image has " + std::to_string(whole), {file});
    EXPECT_NE(out.find("damaged\n"), std::string::npos) << out; /* without an index, all of it */
    Bytes cloop = make_image(image_writer_cloop2, writer_options("zlib"), plain_).file;
    cloop.resize(get_be64(cloop, cloop2_entry(10)) - 5000);
    out = expect(4, "truncated", {write("cloop", cloop)});
    EXPECT_NE(out.find("bytes 32768..40959: cannot be read from the file"), std::string::npos)
        << out;
}

TEST_F(CloopwckDamage, ADamagedSuperblockIsReadAsFarAsItFits) {
    image_[200] ^= 1; /* reserved: nobody looks at it, but for the checksum */
    std::string out = expect(4, "the superblock is damaged (checksum)", {write("image", image_)});
    EXPECT_NE(out.find("10 blocks"), std::string::npos) << out;
    image_[56] ^= 1; /* the size, too */
    expect(4, "superblock", {write("image", image_)});
}

TEST_F(CloopwckDamage, CloopBlocksAndOffsets) {
    Bytes cloop = make_image(image_writer_cloop2, writer_options("zlib"), text_bytes(40960)).file;
    u64 third = get_be64(cloop, cloop2_entry(2));
    cloop[third + 50] ^= 0xff;
    expect(4, "bytes 8192..12287: does not decompress", {write("cloop", cloop)});
    put_be64(&cloop, cloop2_entry(5), 1);
    expect(4, "bytes 16384..24575: the index page that leads here", {write("cloop", cloop)});
}

/* ---- salvage of images ---- */

TEST_F(CloopwckDamage, SalvageKeepsAllThatIsReadable) {
    image_[4096 + 3 * 4096 + 7] ^= 1;
    std::string file = write("image", image_);
    std::string out = expect(4, "4.0 KiB are lost", {"--salvage", path("out"), file});
    EXPECT_NE(out.find("bytes 12288..16383: the checksum is wrong"), std::string::npos) << out;
    Bytes wanted = plain_;
    std::fill_n(wanted.begin() + 12288, 4096, u8{0});
    EXPECT_EQ(read_image(read_bytes(path("out"))), wanted);
    expect_clean({path("out")});
    expect(8, "exists already", {"-s", path("out"), file});
    json result = json::parse(tool({"--json", "-f", "-s", path("out"), file}).out);
    EXPECT_EQ(result["lost_bytes"], 4096);
    EXPECT_EQ(result["lost"][0]["offset"], 12288);
    EXPECT_EQ(result["exit_code"], 4);
    expect(8, "is the input", {"-f", "-s", file, file});
    EXPECT_EQ(read_bytes(file), image_);
}

TEST_F(CloopwckDamage, SalvageOfASoundImageIsTheImage) {
    std::string file = write("image", image_);
    expect(0, "0 B are lost", {"-s", path("out"), file});
    EXPECT_EQ(read_image(read_bytes(path("out"))), plain_);
    Image before(Io::open(file, Io::Mode::kRead));
    Image after(Io::open(path("out"), Io::Mode::kRead));
    EXPECT_EQ(memcmp(before.info().uuid, after.info().uuid, CW_UUID_LEN), 0);
}

TEST_F(CloopwckDamage, SalvageOfEachFormat) {
    const Bytes plain = text_bytes(40960);
    for (const std::string format : {"cloop2", "cloop4", "cloop068"}) {
        Bytes cloop = format == "cloop2"
                          ? make_image(image_writer_cloop2, writer_options("zlib"), plain).file
                      : format == "cloop4"
                          ? make_image(image_writer_cloop4, writer_options("lz4"), plain).file
                          : cloop_image({0, false, 4096, {&cw_codec_zlib}}, plain);
        while (cloop.back() == 0) { /* padding */
            cloop.pop_back();
        }
        cloop.resize(cloop.size() - 100);
        expect(4, "bytes 36864..40959", {"-f", "-s", path("out"), write("cloop", cloop)});
        Bytes wanted = plain;
        std::fill_n(wanted.begin() + 36864, 4096, u8{0});
        EXPECT_EQ(read_image(read_bytes(path("out"))), wanted) << format;
    }
    std::string raw = write("raw", plain);
    expect(0, "0 B are lost", {"-f", "-s", path("out"), raw});
    EXPECT_EQ(read_bytes(path("out")), plain);
}

/* Days of reading, if it read the holes. */
TEST_F(Cloopwck, HolesOfARawFileAreNotRead) {
    const std::string raw = write("sparse", with_partition(random_bytes(100000)));
    const off_t end = off_t{8} << 40;
    ASSERT_EQ(truncate(raw.c_str(), end), 0) << strerror(errno);
    expect(0, "raw image", {raw});
    expect(0, "raw image", {"--quick", raw});
    const Bytes tail = random_bytes(5000);
    const int fd = ::open(raw.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(::pwrite(fd, tail.data(), tail.size(), end - 5000), ssize_t{5000});
    EXPECT_EQ(::close(fd), 0);
    expect(0, "raw image", {raw});
    expect(0, "0 B are lost", {"-s", path("copy"), raw});
    struct stat st = {};
    ASSERT_EQ(::stat(path("copy").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, end);
    EXPECT_LT(st.st_blocks * 512, 2 << 20);
}

TEST_F(CloopwckDamage, ASuperblockThatSaysNothingCannotBeSalvaged) {
    image_[110] ^= 0xff; /* the reference to the index */
    image_[72] = 3;      /* the block size */
    expect(8, "nothing can be salvaged", {"-s", path("out"), write("image", image_)});
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"image"});
}

/* ---- dump ---- */

TEST_F(CloopwckDamage, DumpShowsSuperblockAndIndex) {
    std::string file = write("image", image_);
    std::string out = expect(0, "superblock\n", {"--dump", file});
    EXPECT_NE(out.find("  block_size    4096\n"), std::string::npos) << out;
    EXPECT_NE(out.find("  9: at 40960, 4096 bytes, none, crc "), std::string::npos) << out;
    image_[100] ^= 1;
    expect(0, "superblock (checksum is wrong)", {"--dump", write("image", image_)});
    Bytes cloop = make_image(image_writer_cloop2, writer_options("zlib"), plain_).file;
    expect(0, "  0: at 224, ", {"--dump", write("cloop", cloop)});
    expect(0, "format        raw", {"--dump", write("raw", plain_)});
}

/* ---- hostile input: it ends, and says something ---- */

/* Clean, damaged, or no longer known as its kind. */
bool ended_well(const ToolResult &result) {
    return result.code == 0 || result.code == 4 ||
           (result.code == 8 &&
            result.err.find("takes its bytes as they are") != std::string::npos);
}

TEST_F(CloopwckDamage, AnyByteFlippedAndAnyLength) {
    const Bytes small = text_bytes(20000);
    const std::vector<Bytes> images = {
        make_image(image_writer_cloopw, writer_options("zstd"), small).file,
        make_image(image_writer_cloop2, writer_options("zlib"), small).file,
        cloop_image({4, true, 4096, {&cw_codec_lz4, &cw_codec_xz, &cw_codec_lzo}}, small),
        cloop_image({0, false, 4096, {&cw_codec_zlib}}, small),
    };
    for (const Bytes &image : images) {
        for (size_t at = 0; at < image.size(); at += at < 300 ? 5 : 331) {
            Bytes bad = image;
            bad[at] ^= static_cast<u8>(1 + at % 255);
            ToolResult result = tool({write("bad", bad)});
            EXPECT_TRUE(ended_well(result)) << at << result.err;
            bad = slice(image, 0, at);
            result = tool({write("bad", bad)});
            EXPECT_TRUE(ended_well(result)) << at << result.err;
            (void)tool({"--dump", path("bad")});
            (void)tool({"-f", "-s", path("out"), path("bad")});
        }
    }
}

}  // namespace
}  // namespace cloopw::test
