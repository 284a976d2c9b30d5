// SPDX-License-Identifier: GPL-2.0
/* mkcloopw --merge: one COW file that stands for two or more. */
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/cow/super.h"
#include "support/mkcloopw_layers.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

constexpr u64 kPage = CW_PAGE_SIZE;

class MkcloopwMerge : public MkcloopwLayers {
protected:
    MkcloopwMerge() { expect_success({"-q", in_, image_}); }

    /* All that two layers can say of a page, in both orders. */
    void make_chain() {
        make_log("a.cow", image_, settings_);
        {
            Device device = attach(image_, {a_});
            device.write(random_bytes(40 * kPage, 1).data(), 40 * kPage, 10 * kPage);
            device.zero(60 * kPage, 20 * kPage);
            device.write(text_bytes(20 * kPage, 2).data(), 20 * kPage, 100 * kPage);
            device.discard(105 * kPage, 5 * kPage);
            device.write(random_bytes(700).data(), 700, device.size() - 700);
            device.close();
        }
        put_over(image_, {a_}, "b.cow", settings_);
        Device device = attach(image_, {b_, a_});
        device.write(random_bytes(10 * kPage, 3).data(), 10 * kPage, 15 * kPage);
        device.zero(30 * kPage, 10 * kPage);
        device.write(random_bytes(5 * kPage, 4).data(), 5 * kPage, 65 * kPage);
        device.write(random_bytes(4 * kPage, 5).data(), 4 * kPage, 42 * kPage);
        device.discard(43 * kPage, 2 * kPage); /* the layer below shows again */
        device.discard(70 * kPage, 2 * kPage); /* nothing was here: no change */
        device.zero(200 * kPage, 3 * kPage);
        device.write(random_bytes(100, 6).data(), 100, 250 * kPage + 50);
        device.close();
    }

    nlohmann::json merge(Args args) {
        args.insert(args.begin(), "--json");
        ToolResult result = tool(args);
        EXPECT_EQ(result.code, 0) << result.err;
        return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
    }

    const std::string image_ = dir_ / "image";
    const std::string a_ = dir_ / "a.cow";
    const std::string b_ = dir_ / "b.cow";
    const std::string merged_ = dir_ / "merged.cow";
    LogCowConfig settings_;
};

TEST_F(MkcloopwMerge, ShowsWhatTheTwoShow) {
    make_chain();
    const Bytes a = read_bytes(a_), b = read_bytes(b_);
    const Bytes all = shown(image_, {b_, a_});
    auto json = merge({"--merge", b_, merged_});
    EXPECT_EQ(json["layers"], (std::vector<std::string>{b_, a_}));
    EXPECT_EQ(json["below"], image_);
    EXPECT_EQ(json["frozen"], false);
    EXPECT_EQ(shown(image_, {merged_}), all);
    EXPECT_EQ(read_bytes(a_), a);
    EXPECT_EQ(read_bytes(b_), b);
    /* Pages discarded in both show the image, and no other content appears. */
    Device device = attach(image_, {merged_}, true);
    EXPECT_TRUE(device.untouched(0, 10 * kPage));
    EXPECT_TRUE(device.untouched(105 * kPage, 5 * kPage));
    EXPECT_TRUE(device.untouched(204 * kPage, 46 * kPage));
    EXPECT_EQ(device.block_status(60 * kPage, kPage).place, Device::Span::Place::kZero);
    EXPECT_EQ(json["plain_bytes"], device.stats().cow.plain_bytes);
}

TEST_F(MkcloopwMerge, LayersOfOtherLengthsShowWhatTheyShowed) {
    make_chain();
    u64 size = 0;
    {
        Device device = attach(image_, {b_, a_});
        size = cw_round_up(device.size(), kPage) + 64 * kPage;
        device.grow(size);
        device.write(random_bytes(3 * kPage, 8).data(), 3 * kPage, size - 9 * kPage);
        device.close();
    }
    const Bytes all = shown(image_, {b_, a_});
    ASSERT_EQ(all.size(), size);
    merge({"--merge", b_, merged_});
    EXPECT_EQ(shown(image_, {merged_}), all);
    EXPECT_EQ(identify_cow(merged_).below_size, identify_cow(a_).size);
    put_over(image_, {merged_}, "c.cow", settings_);
    EXPECT_EQ(shown(image_, {dir_ / "c.cow", merged_}), all);
    merge({"--merge", dir_ / "c.cow", dir_ / "again.cow"});
    EXPECT_EQ(shown(image_, {dir_ / "again.cow"}), all);
}

TEST_F(MkcloopwMerge, CanBeWrittenAsTheUpperCould) {
    settings_.codec = "zstd";
    settings_.level = 5;
    settings_.limit = 64 << 20;
    make_chain();
    chmod(a_.c_str(), 0644);
    chmod(b_.c_str(), 0640);
    auto json = merge({"--merge", b_, merged_});
    EXPECT_EQ(json["limit_left_out"], false);
    struct stat st = {};
    ASSERT_EQ(stat(merged_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0640u);
    Io io = Io::open(merged_, Io::Mode::kRead);
    auto super = read_log_super(io.fd(), merged_);
    EXPECT_STREQ(codec_of(*super)->name, "zstd");
    EXPECT_EQ(cw_from_le32(super->codec_level), 5u);
    EXPECT_EQ(cw_from_le64(super->limit), u64{64} << 20);
    EXPECT_EQ(identify_cow(merged_).uuid, identify_cow(b_).uuid);

    const Bytes data = random_bytes(3 * kPage, 9);
    write(image_, {merged_}, 64 * kPage, data);
    write(image_, {b_, a_}, 64 * kPage, data);
    EXPECT_EQ(shown(image_, {merged_}), shown(image_, {b_, a_}));
}

TEST_F(MkcloopwMerge, ALimitThatIsTooLowIsLeftOutAndTold) {
    settings_.codec = "none";
    dir_.write("in", random_bytes(24 << 20));
    expect_success({"-q", "-f", in_, image_});
    make_log("a.cow", image_, settings_);
    write(image_, {a_}, 0, random_bytes(12 << 20, 1));
    settings_.limit = 16 << 20;
    put_over(image_, {a_}, "b.cow", settings_);
    write(image_, {b_, a_}, 12 << 20, random_bytes(8 << 20, 2));
    ToolResult result = tool({"--merge", b_, merged_});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.out.find("has no --cow-limit"), std::string::npos) << result.out;
    EXPECT_EQ(shown(image_, {merged_}), shown(image_, {b_, a_}));
}

TEST_F(MkcloopwMerge, CodecAndLevelCanBeChosen) {
    make_chain();
    merge({"--merge", b_, "-c", "zlib", "-l", "9", merged_});
    Io io = Io::open(merged_, Io::Mode::kRead);
    auto super = read_log_super(io.fd(), merged_);
    EXPECT_STREQ(codec_of(*super)->name, "zlib");
    EXPECT_EQ(cw_from_le32(super->codec_level), 9u);
    expect_refusal(1, "a COW file cannot be compressed with xz",
                   {"--merge", b_, "-c", "xz", dir_ / "other.cow"});
}

/* The middle of a chain: the layers over it find the new one in its place. */
TEST_F(MkcloopwMerge, LayersOverItLieOverTheMergedOne) {
    make_chain();
    const std::string c = put_over(image_, {b_, a_}, "c.cow");
    write(image_, {c, b_, a_}, 33 * kPage, random_bytes(kPage, 8));
    const Bytes all = shown(image_, {c, b_, a_});
    auto json = merge({"--merge", b_, merged_});
    EXPECT_EQ(json["frozen"], true);
    EXPECT_TRUE(identify_cow(merged_).frozen);
    EXPECT_EQ(shown(image_, {c, merged_}), all);
    fs::remove(a_);
    fs::rename(merged_, b_);
    EXPECT_EQ(find_cow_chain({c}).size(), 2u);
    EXPECT_EQ(shown(image_, {c, b_}), all);
    expect_success({"-q", "--cow", c, image_, out_});
    EXPECT_EQ(extract(out_), all);
}

/* Its parent is that of the lower, wherever the new file is. */
TEST_F(MkcloopwMerge, TheUpperTwoOfThreeLieOverTheLowest) {
    make_chain();
    const std::string c = put_over(image_, {b_, a_}, "c.cow");
    write(image_, {c, b_, a_}, 33 * kPage, random_bytes(kPage, 8));
    fs::create_directory(dir_ / "sub");
    const std::string elsewhere = dir_ / "sub/merged.cow";
    auto json = merge({"--merge", c, elsewhere});
    EXPECT_EQ(json["layers"], (std::vector<std::string>{c, b_}));
    EXPECT_EQ(json["below"], a_);
    EXPECT_EQ(shown(image_, {elsewhere, a_}), shown(image_, {c, b_, a_}));
    merge({"--merge", c, merged_});
    EXPECT_EQ(identify_cow(merged_).below, "a.cow");
}

TEST_F(MkcloopwMerge, AsManyAsAreNamed) {
    make_chain();
    const std::string c = put_over(image_, {b_, a_}, "c.cow");
    write(image_, {c, b_, a_}, 33 * kPage, random_bytes(kPage, 8));
    merge({"--merge", c, "--merge", b_, "--merge", a_, merged_});
    EXPECT_EQ(shown(image_, {merged_}), shown(image_, {c, b_, a_}));
}

/* Sectors of UML's within a page that the log has none of. */
TEST_F(MkcloopwMerge, UmlsAsTheLowest) {
    const std::string uml = make_uml("u.cow", image_);
    {
        Device device = attach(image_, {uml});
        for (u64 page = 3; page < 300; page += 7) {
            device.write(random_bytes(1024, page).data(), 1024, page * kPage + 512);
        }
        device.write(random_bytes(8 * kPage).data(), 8 * kPage, 20 * kPage);
        device.write(random_bytes(512).data(), 512, device.size() - 512);
        device.close();
    }
    const std::string top = put_over(image_, {uml}, "top.cow");
    write(image_, {top, uml}, 10 * kPage, random_bytes(5 * kPage, 8));
    const Bytes all = shown(image_, {top, uml});
    merge({"--merge", top, image_, merged_});
    EXPECT_EQ(shown(image_, {merged_}), all);
    EXPECT_EQ(identify_cow(merged_).below, image_);
    Device device = attach(image_, {merged_}, true);
    EXPECT_TRUE(device.untouched(0, 3 * kPage));

    fs::rename(image_, dir_ / "moved");
    expect_refusal(1, "image: cannot be opened", {"--merge", top, image_, dir_ / "other.cow"});
    merge({"--merge", top, "-f", dir_ / "moved", merged_});
    EXPECT_EQ(shown(dir_ / "moved", {merged_}), all);
}

/* Anybody may have written the name in a header, so its file is not copied. */
TEST_F(MkcloopwMerge, TheImageBelowUmlsIsNamedByWhoMerges) {
    const std::string uml = make_uml("u.cow", image_);
    const std::string top = put_over(image_, {uml}, "top.cow");
    const auto before = dir_.names();
    expect_refusal(1, "merged with those of the image below, " + image_ + " as it says; name that",
                   {"--merge", top, merged_});
    EXPECT_EQ(dir_.names(), before);
}

/* A layer that others may not read is in it. */
TEST_F(MkcloopwMerge, WhoMayNotReadOneOfThemMayNotReadItEither) {
    make_chain();
    ASSERT_EQ(chmod(a_.c_str(), 0600), 0);
    ASSERT_EQ(chmod(b_.c_str(), 0644), 0);
    merge({"--merge", b_, merged_});
    struct stat st = {};
    ASSERT_EQ(stat(merged_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(MkcloopwMerge, NothingAppearsUntilAllIsThere) {
    make_chain();
    std::atomic<bool> cancelled = true;
    const auto before = dir_.names();
    ToolResult result = tool({"--merge", b_, merged_}, {}, cancelled);
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("interrupted; nothing was left behind"), std::string::npos);
    EXPECT_EQ(dir_.names(), before);
}

TEST_F(MkcloopwMerge, RefusesWhatCannotBeMerged) {
    make_chain();
    const std::string c = put_over(image_, {b_, a_}, "c.cow");
    expect_refusal(1, "a.cow: lies over the image " + image_ + ", not over another COW file",
                   {"--merge", a_, merged_});
    expect_refusal(1, c + ": was made for b.cow, but " + a_ + " is another layer (UUIDs differ)",
                   {"--merge", c, "--merge", a_, merged_});
    expect_refusal(
        1, a_ + ": was made for the image " + image_ + " itself, and " + b_ + " is a COW file",
        {"--merge", a_, "--merge", b_, merged_});
    expect_refusal(1, b_ + ": is the input", {"-f", "--merge", c, b_});
    expect_refusal(1, c + ": exists already", {"--merge", b_, c});
    expect_refusal(1, image_ + ": the image is only needed when the lowest layer is UML's",
                   {"--merge", c, image_, merged_});
    expect_refusal(1, "is an image of format cloopw, not a COW file", {"--merge", image_, merged_});
    expect_refusal(2, "OUTPUT is required", {"--merge", c});
    expect_refusal(2, "--merge: a COW file cannot go to standard output", {"--merge", c, "-"});
    expect_refusal(2, "--merge and --cow do not go together", {"--merge", c, "--cow", c, merged_});
    expect_refusal(2, "--merge and --extract do not go together", {"--merge", c, "-x", merged_});
    const std::string uml = make_uml("u.cow", image_);
    expect_refusal(1, uml + ": lies over the image", {"--merge", uml, merged_});
    expect_refusal(1, "is a COW file of format uml", {"--merge", uml, "--merge", a_, merged_});
}

TEST_F(MkcloopwMerge, RefusesWhatIsBeingWritten) {
    make_chain();
    Io writer = Io::open(b_, Io::Mode::kReadWrite);
    lock_cow(writer.fd(), b_, true);
    expect_refusal(1, b_ + ": is in use by another program", {"--merge", b_, merged_});
}

}  // namespace
}  // namespace cloopw::test
