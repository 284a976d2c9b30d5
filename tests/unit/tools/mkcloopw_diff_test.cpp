// SPDX-License-Identifier: GPL-2.0
/* mkcloopw --diff: a COW file that shows another image over a base. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/cow/super.h"
#include "support/mkcloopw_layers.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

constexpr u64 kPage = CW_PAGE_SIZE;
constexpr u64 kSize = u64{5} << 20; /* more than one chunk */

class MkcloopwDiff : public MkcloopwLayers {
protected:
    MkcloopwDiff() {
        dir_.write("old.img", old_);
        expect_success({"-q", old_raw_, base_});
    }

    void put(u64 off, const Bytes &bytes) {
        std::copy(bytes.begin(), bytes.end(), new_.begin() + static_cast<s64>(off));
    }
    void write_new() { dir_.write("new.img", new_); }

    nlohmann::json diff(const std::string &base, Args args) {
        args.insert(args.begin(), {"--json", "--diff", base});
        ToolResult result = tool(args);
        EXPECT_EQ(result.code, 0) << result.err;
        return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
    }

    static Bytes some_content() {
        Bytes bytes = text_bytes(kSize, 1);
        std::fill(bytes.begin() + 100 * kPage, bytes.begin() + 300 * kPage, u8{0});
        return bytes;
    }

    Bytes old_ = some_content();
    Bytes new_ = old_;
    const std::string old_raw_ = dir_ / "old.img";
    const std::string new_raw_ = dir_ / "new.img";
    const std::string base_ = dir_ / "old.cloopw";
    const std::string delta_ = dir_ / "delta.cow";
};

TEST_F(MkcloopwDiff, ShowsTheInputWithThePagesThatDiffer) {
    put(5 * kPage + 17, random_bytes(1));
    put(40 * kPage, random_bytes(20 * kPage, 2));
    put(150 * kPage, text_bytes(3 * kPage, 3));
    put(400 * kPage, Bytes(7 * kPage, 0));
    put((u64{4} << 20) - 100, random_bytes(200, 4)); /* over the end of a chunk */
    put(kSize - 1, Bytes{1});
    write_new();
    auto json = diff(base_, {new_raw_, delta_});
    EXPECT_EQ(shown(base_, {delta_}), new_);
    EXPECT_EQ(json["plain_bytes"], (1 + 20 + 3 + 7 + 2 + 1) * kPage);
    EXPECT_EQ(json["input_bytes"], kSize);
    EXPECT_EQ(json["base_bytes"], kSize);
    EXPECT_EQ(json["codec"], "zstd");
    EXPECT_GT(json["output_bytes"], 20 * kPage);
    EXPECT_EQ(json["uuid"], uuid_text(identify_cow(delta_).uuid));
    Device device = attach(base_, {delta_}, true);
    EXPECT_TRUE(device.untouched(6 * kPage, 34 * kPage));
    EXPECT_EQ(device.block_status(400 * kPage, kPage).place, Device::Span::Place::kZero);
    EXPECT_EQ(json["plain_bytes"], device.stats().cow.plain_bytes);
}

TEST_F(MkcloopwDiff, AnyDifferencesAreShown) {
    for (unsigned seed = 1; seed <= 6; seed++) {
        std::mt19937 random(seed);
        new_ = old_;
        for (unsigned n = random() % 200; n != 0; n--) {
            const u64 off = random() % kSize;
            const u64 len = std::min<u64>(1 + random() % (9 * kPage), kSize - off);
            put(off, random() % 3 == 0 ? Bytes(len, 0) : random_bytes(len, seed * 1000 + n));
        }
        write_new();
        for (const std::string threads : {"1", "4"}) {
            diff(base_, {"-f", "-j", threads, new_raw_, delta_});
            ASSERT_EQ(shown(base_, {delta_}), new_) << "seed " << seed;
        }
    }
}

TEST_F(MkcloopwDiff, TheSameContentMakesAnEmptyLog) {
    auto json = diff(base_, {old_raw_, delta_});
    EXPECT_EQ(json["plain_bytes"], 0);
    EXPECT_EQ(shown(base_, {delta_}), old_);
    EXPECT_TRUE(attach(base_, {delta_}, true).untouched(0, kSize));
}

TEST_F(MkcloopwDiff, ImagesOfAllFormatsAreComparedByTheirContent) {
    put(70 * kPage, random_bytes(5 * kPage, 2));
    write_new();
    const std::string image = dir_ / "image";
    for (const std::string format : {"cloopw", "cloop2", "cloop4"}) {
        expect_success({"-q", "-f", "-F", format, new_raw_, image});
        EXPECT_EQ(diff(base_, {"-f", image, delta_})["plain_bytes"], 5 * kPage);
        EXPECT_EQ(shown(base_, {delta_}), new_);
        expect_success({"-q", "-f", "-F", format, old_raw_, image});
        EXPECT_EQ(diff(image, {"-f", new_raw_, delta_})["plain_bytes"], 5 * kPage);
        EXPECT_EQ(shown(image, {delta_}), new_);
    }
}

/* The changes of a chain come to lie over a new image. */
TEST_F(MkcloopwDiff, AChainIsMovedToANewBase) {
    const std::string a = make_log("a.cow", base_);
    write(base_, {a}, 30 * kPage, random_bytes(4 * kPage, 2));
    const std::string b = put_over(base_, {a}, "b.cow");
    write(base_, {b, a}, 32 * kPage + 100, random_bytes(kPage, 3));
    const Bytes all = shown(base_, {b, a});
    put(200 * kPage, random_bytes(6 * kPage, 4));
    write_new();
    const std::string moved = dir_ / "moved.cloopw";
    expect_success({"-q", new_raw_, moved});
    auto json = diff(moved, {"--cow", b, base_, delta_});
    EXPECT_EQ(json["plain_bytes"], (4 + 6) * kPage);
    EXPECT_EQ(shown(moved, {delta_}), all);
    expect_success({"-q", "--cow", delta_, moved, out_});
    EXPECT_EQ(extract(out_), all);
}

/* The log belongs to its base as one of an attach does. */
TEST_F(MkcloopwDiff, IsBoundToItsBase) {
    write_new();
    diff(base_, {new_raw_, delta_});
    Image image(Io::open(base_, Io::Mode::kRead));
    Io io = Io::open(delta_, Io::Mode::kRead);
    auto super = read_log_super(io.fd(), delta_);
    ASSERT_TRUE(super);
    EXPECT_EQ(base_digest_of(*super), image.info().digest);
    EXPECT_TRUE(std::equal(image.info().uuid, image.info().uuid + CW_UUID_LEN, super->base_uuid));
    EXPECT_EQ(identify_cow(delta_).below, fs::canonical(base_).string());
    EXPECT_FALSE(identify_cow(delta_).frozen);
    write(base_, {delta_}, 0, random_bytes(kPage, 3));

    const std::string other = dir_ / "other.cloopw";
    old_[0] ^= 1;
    dir_.write("other.img", old_);
    expect_success({"-q", dir_ / "other.img", other});
    EXPECT_THROW(attach(other, {delta_}, true), Error);

    diff(old_raw_, {"-f", new_raw_, delta_});
    Io raw = Io::open(delta_, Io::Mode::kRead);
    super = read_log_super(raw.fd(), delta_);
    EXPECT_EQ(static_cast<s64>(cw_from_le64(super->base_mtime)),
              Io::open(old_raw_, Io::Mode::kRead).get().mtime);
}

TEST_F(MkcloopwDiff, AFrozenOneIsALayerForOthers) {
    put(40 * kPage, random_bytes(20 * kPage, 2));
    write_new();
    EXPECT_EQ(diff(base_, {"--frozen", new_raw_, delta_})["frozen"], true);
    EXPECT_TRUE(identify_cow(delta_).frozen);
    EXPECT_EQ(shown(base_, {delta_}), new_);
    const std::string top = put_over(base_, {delta_}, "top.cow");
    write(base_, {top, delta_}, 0, random_bytes(kPage, 3));
    EXPECT_EQ(find_cow_chain({top}).size(), 2u);
}

TEST_F(MkcloopwDiff, ALongerInputMakesALongerDevice) {
    new_.resize(kSize + 20 * kPage);
    put(kSize + 3 * kPage, random_bytes(2 * kPage, 2));
    write_new();
    EXPECT_EQ(diff(base_, {new_raw_, delta_})["plain_bytes"], 2 * kPage);
    EXPECT_EQ(shown(base_, {delta_}), new_);
    EXPECT_EQ(identify_cow(delta_).below_size, kSize);
    new_.resize(kSize + 512);
    write_new();
    expect_refusal(
        1, "a device grows in steps of 4096, so lengthen it to " + std::to_string(kSize + kPage),
        {"-f", "--diff", base_, new_raw_, delta_});
}

/* The last sectors of both are no whole page. */
TEST_F(MkcloopwDiff, AnOddEndIsComparedToo) {
    old_.resize(kSize - 1000);
    dir_.write("old.img", old_);
    expect_success({"-q", "-f", old_raw_, base_});
    new_ = old_;
    new_.back() ^= 1;
    write_new();
    EXPECT_EQ(diff(base_, {new_raw_, delta_})["plain_bytes"], kPage);
    Bytes bytes = shown(base_, {delta_});
    bytes.resize(new_.size());
    EXPECT_EQ(bytes, new_);
}

TEST_F(MkcloopwDiff, AShorterInputIsRefused) {
    new_.resize(kSize - kPage);
    write_new();
    expect_refusal(1,
                   new_raw_ + ": has " + std::to_string(new_.size()) +
                       " bytes, and a device over " + base_ + " has " + std::to_string(kSize) +
                       " at least; lengthen it to that",
                   {"--diff", base_, new_raw_, delta_});
}

TEST_F(MkcloopwDiff, CodecAndLevelCanBeChosen) {
    write_new();
    auto json = diff(base_, {"-c", "zlib", "-l", "9", new_raw_, delta_});
    EXPECT_EQ(json["level"], 9);
    Io io = Io::open(delta_, Io::Mode::kRead);
    EXPECT_STREQ(codec_of(*read_log_super(io.fd(), delta_))->name, "zlib");
    expect_refusal(1, "a COW file cannot be compressed with xz",
                   {"-f", "-c", "xz", "--diff", base_, new_raw_, delta_});
    expect_refusal(1, "codec zstd has levels",
                   {"-f", "-l", "99", "--diff", base_, new_raw_, delta_});
}

TEST_F(MkcloopwDiff, WhoMayNotReadOneOfThemMayNotReadItEither) {
    write_new();
    for (const std::string &secret : {base_, new_raw_}) {
        ASSERT_EQ(chmod(base_.c_str(), 0644), 0);
        ASSERT_EQ(chmod(new_raw_.c_str(), 0644), 0);
        ASSERT_EQ(chmod(secret.c_str(), 0600), 0);
        fs::remove(delta_);
        diff(base_, {new_raw_, delta_});
        struct stat st = {};
        ASSERT_EQ(stat(delta_.c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0600u);
    }
}

TEST_F(MkcloopwDiff, SaysWhatItDid) {
    put(0, random_bytes(2 * kPage));
    write_new();
    ToolResult result = tool({"--diff", base_, new_raw_, delta_});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.out.find("8.0 KiB of 5.0 MiB differ from " + base_), std::string::npos)
        << result.out;
    expect_success({"-q", "-f", "--diff", base_, new_raw_, delta_});
}

TEST_F(MkcloopwDiff, NothingAppearsUntilAllIsThere) {
    write_new();
    std::atomic<bool> cancelled = true;
    const auto before = dir_.names();
    ToolResult result = tool({"--diff", base_, new_raw_, delta_}, {}, cancelled);
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("interrupted; nothing was left behind"), std::string::npos);
    EXPECT_EQ(dir_.names(), before);
}

/* The nearest to a full disk that a test may make. */
TEST_F(MkcloopwDiff, NoRoomLeavesNothing) {
    put(0, random_bytes(4 << 20));
    write_new();
    struct rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {2 << 20, before.rlim_max};
    auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_refusal(1, "cannot be written: No space left on device; make room or name an output",
                   {"--diff", base_, new_raw_, delta_});
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)std::signal(SIGXFSZ, old_handler);
}

TEST_F(MkcloopwDiff, RefusesADamagedImage) {
    write_new();
    Bytes bytes = read_bytes(base_);
    for (u64 at = bytes.size() / 3; at < bytes.size() / 3 + 3000; at++) {
        bytes[at] ^= 0x55;
    }
    const std::string bad = dir_.write("bad.cloopw", bytes);
    expect_refusal(1, bad + ": cannot be read at byte", {"--diff", bad, new_raw_, delta_});
    expect_refusal(1, bad + ": cannot be read at byte", {"--diff", base_, bad, delta_});
    bytes.resize(bytes.size() / 2);
    dir_.write("bad.cloopw", bytes);
    expect_refusal(1, bad + ": ", {"--diff", bad, new_raw_, delta_});
}

TEST_F(MkcloopwDiff, RefusesWhatIsNoBase) {
    write_new();
    const std::string missing = dir_ / "missing";
    const std::string empty = dir_.write("empty", {});
    const std::string log = make_log("a.cow", base_);
    expect_refusal(1, "missing: cannot be opened: No such file",
                   {"--diff", missing, new_raw_, delta_});
    expect_refusal(1, "missing: cannot be opened: No such file",
                   {"--diff", base_, missing, delta_});
    expect_refusal(1, "empty: is empty; name the image that the COW file is for",
                   {"--diff", empty, new_raw_, delta_});
    expect_refusal(1, "a.cow: is a COW file", {"--diff", log, new_raw_, delta_});
    expect_refusal(1, "directory", {"--diff", dir_ / ".", new_raw_, delta_});
    const std::string tar =
        dir_.write("x.zst", bytes_from(std::string("\x28\xb5\x2f\xfd") + "abc"));
    expect_refusal(1, "'-I raw' takes its bytes as they are", {"--diff", tar, new_raw_, delta_});
    expect_success({"-q", "-I", "raw", "--diff", tar, tar, delta_});
}

TEST_F(MkcloopwDiff, RefusesWhatIsNoOutput) {
    write_new();
    const std::string log = make_log("a.cow", base_);
    expect_refusal(1, base_ + ": is the input", {"-f", "--diff", base_, new_raw_, base_});
    expect_refusal(1, new_raw_ + ": is the input", {"-f", "--diff", base_, new_raw_, new_raw_});
    expect_refusal(1, log + ": is the input", {"-f", "--diff", base_, "--cow", log, base_, log});
    expect_refusal(1, log + ": exists already", {"--diff", base_, new_raw_, log});
    expect_refusal(2, "--diff: a COW file cannot go to standard output",
                   {"--diff", base_, new_raw_, "-"});
    expect_refusal(2, "--diff: standard input can only be read from the front to the back",
                   {"--diff", base_, "-", delta_});
    expect_refusal(2, "OUTPUT is required", {"--diff", base_, new_raw_});
    const std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const int keep = open(fifo.c_str(), O_RDWR | O_CLOEXEC); /* opening it does not wait then */
    expect_refusal(1, "fifo: is neither a file nor a block device",
                   {"--diff", base_, fifo, delta_});
    close(keep);
}

TEST_F(MkcloopwDiff, RefusesOptionsOfImages) {
    write_new();
    const std::vector<Args> all = {{"--extract"},    {"--format", "cloop2"}, {"--block-size", "4K"},
                                   {"--label", "x"}, {"--order", in_},       {"--no-dedupe"},
                                   {"--rescue"},     {"--merge", delta_}};
    for (const Args &option : all) {
        Args args = option;
        args.insert(args.end(), {"--diff", base_, new_raw_, delta_});
        ToolResult result = tool(args);
        EXPECT_EQ(result.code, 2) << option[0];
        EXPECT_NE(result.err.find("do not go together"), std::string::npos) << result.err;
    }
    expect_refusal(2, "--frozen: is said of the COW file that --diff makes",
                   {"--frozen", new_raw_, delta_});
}

}  // namespace
}  // namespace cloopw::test
