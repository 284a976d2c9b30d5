// SPDX-License-Identifier: GPL-2.0
/* mkcloopw --cow: what lies over an image becomes part of a new one. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "support/hooks.h"
#include "support/make_image.h"
#include "support/mkcloopw_layers.h"

namespace cloopw::test {
namespace {

constexpr u32 kBlock = 65536;

class MkcloopwCow : public MkcloopwLayers {
protected:
    /* Some of everything; which blocks it touches: */
    static constexpr u64 kTouched[] = {1, 2, 3, 6, 9, 22};
    static void change(const std::string &base, const std::string &cow) {
        Device device = attach(base, {cow});
        Bytes data = random_bytes(kBlock, 5);
        device.write(data.data(), 100, kBlock + 1000);
        device.write(data.data(), kBlock, 2 * kBlock + 512);
        device.write(data.data(), 4096, 22 * u64{kBlock});
        device.zero(6 * u64{kBlock}, kBlock);
        device.write(Bytes(5000).data(), 5000, 9 * u64{kBlock});
        device.close();
    }

    /* below: the layers that must be found */
    nlohmann::json commit(const std::string &base, const std::string &cow, Args more = {},
                          std::vector<std::string> below = {}) {
        more.insert(more.end(), {"--json", "-f", "--cow", cow, base, out_});
        ToolResult result = tool(more);
        EXPECT_EQ(result.code, 0) << result.err;
        below.insert(below.begin(), cow);
        EXPECT_EQ(extract(out_), shown(base, below));
        return nlohmann::json::parse(result.out);
    }

    /* The stored form of each block. */
    static std::vector<Bytes> stored(const std::string &path) {
        Device device(Io::open(path, Io::Mode::kRead), {}, {});
        std::vector<Bytes> blocks;
        for (u64 n = 0; n < device.image().blocks; n++) {
            Bytes bytes(kBlock);
            cw_extent extent = device.read_stored(n, bytes.data());
            bytes.resize(extent.stored);
            bytes.push_back(extent.codec);
            blocks.push_back(bytes);
        }
        return blocks;
    }

    std::string base(const Args &options) {
        Args args = options;
        args.insert(args.end(), {in_, dir_ / "base"});
        expect_success(args);
        return dir_ / "base";
    }
};

/* ---- a COW file belongs to a content, not to a number ---- */

class MkcloopwContent : public MkcloopwCow {
protected:
    /* An image of this content under one UUID. */
    std::string image_of(const std::string &name, const Bytes &content, const Args &more = {}) {
        dir_.write("in", content);
        Args args = {"-q", "-f", "--uuid", "01234567-89ab-cdef-0123-456789abcdef"};
        args.insert(args.end(), more.begin(), more.end());
        args.insert(args.end(), {in_, dir_ / name});
        expect_success(args);
        return dir_ / name;
    }
    /* Makes a COW file of a version without digests. */
    static void forget_digest(const std::string &cow) {
        const Io io = Io::open(cow, Io::Mode::kReadWrite);
        for (u64 at : {u64{0}, u64{CW_LOG_SUPER_STRIDE}}) {
            cw_disk_log_super super = {};
            io.read(&super, sizeof(super), at);
            super.compat = 0;
            super.base_digest = 0;
            super.crc = 0;
            super.crc = cw_to_le32(cw_crc32c(&super, sizeof(super)));
            io.write(&super, sizeof(super), at);
        }
    }
    static std::string refusal(const std::string &base, const std::string &cow) {
        try {
            attach(base, {cow}, true);
        } catch (const Error &e) {
            return e.what();
        }
        return "";
    }

    const std::string first_ = image_of("first", text_bytes(500000, 1));
    const std::string second_ = image_of("second", text_bytes(500000, 2));
    const std::string cow_ = make_log("cow", first_);
};

TEST_F(MkcloopwContent, AnotherUnderTheSameUuidIsRefused) {
    write(first_, {cow_}, 0, random_bytes(4096));
    EXPECT_EQ(refusal(first_, cow_), "");
    EXPECT_EQ(refusal(second_, cow_), cow_ + ": was made for " + first_ + ", but " + second_ +
                                          " has other content, or has it in other blocks, "
                                          "under the same UUID");
    write(first_, {cow_}, 8192, random_bytes(4096));
    EXPECT_NE(refusal(second_, cow_), "");
    EXPECT_EQ(refusal(image_of("again", text_bytes(500000, 1)), cow_), "");
}

/* The digest is of an encoding. With --cow, changed data gets into another encoding. */
TEST_F(MkcloopwContent, AnotherEncodingIsAnotherImage) {
    const Bytes change = random_bytes(4096);
    write(first_, {cow_}, 8192, change);
    const std::string other = image_of("other", text_bytes(500000, 1), {"-c", "lz4"});
    EXPECT_NE(refusal(other, cow_).find("has it in other blocks"), std::string::npos);
    expect_success({"-q", "-c", "lz4", "--cow", cow_, first_, dir_ / "both"});
    const Bytes both = read_image(read_bytes(dir_ / "both"));
    EXPECT_EQ(slice(both, 8192, change.size()), change);
}

/* It cannot be told any more which content an older one is of: that is said, once. */
TEST_F(MkcloopwContent, AnOlderOneIsBoundToWhatItIsAttachedTo) {
    write(first_, {cow_}, 0, random_bytes(4096));
    forget_digest(cow_);
    {
        CaptureLog log;
        EXPECT_EQ(refusal(second_, cow_), "");
        ASSERT_EQ(log.lines().size(), 1U);
        EXPECT_NE(log.lines()[0].find("says for which UUID it was made, not for which content"),
                  std::string::npos);
        write(first_, {cow_}, 0, random_bytes(4096));
        EXPECT_EQ(log.lines().size(), 2U);
        write(first_, {cow_}, 0, random_bytes(4096));
        EXPECT_EQ(log.lines().size(), 2U);
    }
    EXPECT_NE(refusal(second_, cow_), "");
}

TEST_F(MkcloopwContent, AMergedLayerIsBoundAsTheLowestIs) {
    write(first_, {cow_}, 0, random_bytes(4096));
    const std::string top = put_over(first_, {cow_}, "top");
    write(first_, {top, cow_}, 0, random_bytes(4096));
    expect_success({"-q", "--merge", top, dir_ / "merged"});
    EXPECT_EQ(refusal(first_, dir_ / "merged"), "");
    EXPECT_NE(refusal(second_, dir_ / "merged"), "");
}

TEST_F(MkcloopwContent, ANumberOfOnesOwnIsWarnedOf) {
    ToolResult result = tool({"-f", "--uuid", "01234567-89ab-cdef-0123-456789abcdef", in_, out_});
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.err.find("warning: --uuid: if another image has this UUID"),
              std::string::npos);
}

TEST_F(MkcloopwCow, UntouchedBlocksAreTheSameStoredBytes) {
    for (const char *codec : {"zstd", "lz4", "none"}) {
        std::string path = base({"-q", "-f", "-c", codec});
        std::string cow = make_log(std::string("cow-") + codec, path);
        change(path, cow);
        auto json = commit(path, cow);

        std::vector<Bytes> before = stored(path);
        std::vector<Bytes> after = stored(out_);
        ASSERT_EQ(before.size(), after.size());
        u64 copied = 0;
        for (u64 n = 0; n < before.size(); n++) {
            bool touched =
                std::find(std::begin(kTouched), std::end(kTouched), n) != std::end(kTouched);
            if (!touched) {
                EXPECT_EQ(before[n], after[n]) << n;
                copied += before[n].size() > 1 ? 1 : 0;
            } else {
                EXPECT_NE(before[n], after[n]) << n;
            }
        }
        EXPECT_EQ(json["copied_blocks"], copied);
        EXPECT_EQ(json["compressed_blocks"], 5); /* one of the touched became zeros */
        EXPECT_EQ(json["codec"], codec);
        EXPECT_EQ(json["blocks"], copied + 5 + json["zero_blocks"].get<u64>());
    }
}

/* By blocks that only look like the base's: a level of zstd that is nobody's default. */
TEST_F(MkcloopwCow, CopiesWhatItWouldNotMake) {
    std::string path = base({"-q", "-l", "1"});
    std::string cow = make_log("cow", path);
    change(path, cow);
    EXPECT_GT(commit(path, cow)["copied_blocks"], 0);
    EXPECT_EQ(commit(path, cow, {"-l", "2"})["copied_blocks"], 0);
    EXPECT_EQ(commit(path, cow, {"-c", "zlib"})["copied_blocks"], 0);
    EXPECT_EQ(commit(path, cow, {"-b", "128K"})["copied_blocks"], 0);
    EXPECT_EQ(commit(path, cow, {"-F", "cloop2", "-b", "512"})["copied_blocks"], 0);
}

TEST_F(MkcloopwCow, DuplicatesStayDuplicates) {
    Bytes twice(4 * u64{kBlock});
    Bytes text = text_bytes(kBlock);
    std::copy(text.begin(), text.end(), twice.begin());
    std::copy(text.begin(), text.end(), twice.begin() + 2 * kBlock);
    dir_.write("in", twice);
    std::string path = base({"-q"});
    std::string cow = make_log("cow", path);
    auto json = commit(path, cow);
    EXPECT_EQ(json["duplicate_blocks"], 1);
    EXPECT_EQ(json["zero_blocks"], 2);
    EXPECT_EQ(json["copied_blocks"], 2);
    EXPECT_EQ(json["compressed_blocks"], 0);
    EXPECT_EQ(read_bytes(out_), read_bytes(path)); /* an empty layer changes nothing */
}

TEST_F(MkcloopwCow, AnyThreadsAndTwiceGiveTheSameBytes) {
    std::string path = base({"-q"});
    std::string cow = make_log("cow", path);
    change(path, cow);
    commit(path, cow, {"-j", "1"});
    Bytes one = read_bytes(out_);
    for (const char *threads : {"2", "8"}) {
        commit(path, cow, {"-j", threads});
        EXPECT_EQ(read_bytes(out_), one) << threads;
    }
}

struct Below {
    const char *name;
    std::optional<Args> options; /* none: the raw file itself */
    bool uml;
};

class MkcloopwCowBelow : public MkcloopwCow, public testing::WithParamInterface<Below> {};

INSTANTIATE_TEST_SUITE_P(All, MkcloopwCowBelow,
                         testing::Values(Below{"raw", {}, false}, Below{"raw_uml", {}, true},
                                         Below{"cloop2", Args{"-F", "cloop2", "-b", "32K"}, false},
                                         Below{"cloop2_uml", Args{"-F", "cloop2", "-b", "32K"},
                                               true},
                                         Below{"cloopw_uml", Args{"-b", "16K"}, true}),
                         [](const auto &info) { return info.param.name; });

TEST_P(MkcloopwCowBelow, CanBeAnything) {
    std::string path = in_;
    if (GetParam().options) {
        Args args = *GetParam().options;
        args.push_back("-q");
        path = base(args);
    }
    std::string cow = GetParam().uml ? make_uml("cow", path) : make_log("cow", path);
    change(path, cow);
    auto json = commit(path, cow);
    EXPECT_EQ(json["copied_blocks"] > 0, path != in_ && GetParam().options->front() == "-b");
    /* And it can be taken apart at once. */
    expect_success({"-q", "-x", "--cow", cow, path, dir_ / "raw"});
    EXPECT_EQ(read_bytes(dir_ / "raw"), shown(path, {cow}));
}

/* A hole of the file below is none where the layer has something. */
TEST_F(MkcloopwCow, HolesBelowALayer) {
    std::string sparse = dir_ / "sparse";
    int fd = open(sparse.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(ftruncate(fd, 32 << 20), 0);
    ASSERT_EQ(pwrite(fd, "data", 4, 20 << 20), 4);
    close(fd);
    std::string cow = make_log("cow", sparse);
    {
        Device device = attach(sparse, {cow});
        device.write(random_bytes(4096).data(), 4096, 7 << 20);
        device.zero(20 << 20, 4096);
        device.close();
    }
    auto json = commit(sparse, cow);
    EXPECT_EQ(json["compressed_blocks"], 1);
}

/* Three layers, of which each has its own; the lower ones are found. */
TEST_F(MkcloopwCow, AChainBecomesPartOfTheImage) {
    std::string path = base({"-q"});
    std::string a = make_log("a.cow", path);
    change(path, a);
    std::string b = put_over(path, {a}, "b.cow");
    write(path, {b, a}, 12 * u64{kBlock}, random_bytes(4096, 7));
    std::string c = put_over(path, {b, a}, "c.cow");
    write(path, {c, b, a}, 12 * u64{kBlock} + 4096, random_bytes(100, 8));
    Bytes all = shown(path, {c, b, a});

    auto json = commit(path, c, {}, {b, a});
    EXPECT_EQ(json["compressed_blocks"], 6);
    std::vector<Bytes> before = stored(path);
    std::vector<Bytes> after = stored(out_);
    u64 same = 0;
    for (u64 n = 0; n < before.size(); n++) {
        same += before[n] == after[n] && before[n].size() > 1 ? 1 : 0;
    }
    EXPECT_EQ(json["copied_blocks"], same);
    EXPECT_EQ(all, extract(out_));

    std::filesystem::create_directory(dir_ / "sub");
    std::filesystem::rename(a, dir_ / "sub/away");
    expect_refusal(1, "b.cow: lies over the COW file a.cow", {"-f", "--cow", c, path, out_ + "2"});
    expect_success({"-q", "-f", "--cow", c, "--cow", b, "--cow", dir_ / "sub/away", path, out_});
    EXPECT_EQ(all, extract(out_));
    expect_refusal(1, "is another layer (UUIDs differ)",
                   {"--cow", c, "--cow", dir_ / "sub/away", path, out_ + "2"});
    expect_success({"-q", "-c", "lz4", in_, dir_ / "other"});
    expect_refusal(
        1, "is another image (UUIDs differ)",
        {"--cow", c, "--cow", b, "--cow", dir_ / "sub/away", dir_ / "other", out_ + "2"});
}

/* The last block of the base is longer in the new image, and blocks follow it. */
TEST_F(MkcloopwCow, AGrownDeviceMakesALongerImage) {
    const std::string path = base({"-q"});
    const std::string a = make_log("a.cow", path);
    u64 size = 0;
    {
        Device device = attach(path, {a});
        size = cw_round_up(device.size(), CW_PAGE_SIZE) + 5 * u64{kBlock} + CW_PAGE_SIZE;
        device.grow(size);
        device.write(random_bytes(5000, 3).data(), 5000, size - 5000);
        device.close();
    }
    const Bytes all = shown(path, {a});
    ASSERT_EQ(all.size(), size);
    commit(path, a, {}, {});
    EXPECT_EQ(extract(out_), all);
}

TEST_F(MkcloopwCow, AChainOverUmlsBecomesPartOfTheImage) {
    std::string path = base({"-q"});
    std::string uml = make_uml("u.cow", path);
    change(path, uml);
    std::string top = put_over(path, {uml}, "top.cow");
    write(path, {top, uml}, 12 * u64{kBlock}, random_bytes(4096, 7));
    commit(path, top, {}, {uml});
}

TEST_F(MkcloopwCow, ALayerThatIsWrittenMeanwhileIsRefused) {
    std::string path = base({"-q"});
    std::string cow = make_log("cow", path);
    Io writer = Io::open(cow, Io::Mode::kReadWrite);
    lock_cow(writer.fd(), cow, true);
    expect_refusal(1, "cow: is in use by another program", {"--cow", cow, path, out_});
}

TEST_F(MkcloopwCow, RefusesWhatDoesNotFit) {
    std::string path = base({"-q"});
    std::string cow = make_log("cow", path);
    change(path, cow);
    expect_success({"-q", "-c", "lz4", in_, dir_ / "other"});
    expect_refusal(1, "is another image (UUIDs differ)", {"--cow", cow, dir_ / "other", out_});
    expect_refusal(1, in_ + ": is no COW file of a known format", {"--cow", in_, path, out_});
    expect_refusal(1, "missing: cannot be opened", {"--cow", dir_ / "missing", path, out_});
    expect_refusal(1, cow + ": is the input", {"-f", "--cow", cow, path, cow});
    expect_refusal(1, path + ": is the input", {"-f", "--cow", cow, path, path});
    expect_refusal(2, "--cow: the image below must be a file, not standard input",
                   {"--cow", cow, "-", out_});
    EXPECT_EQ(read_bytes(dir_ / "base").size(), read_bytes(path).size());
}

}  // namespace
}  // namespace cloopw::test
