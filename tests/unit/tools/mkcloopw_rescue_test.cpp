// SPDX-License-Identifier: GPL-2.0
/* mkcloopw --rescue: an image of a bad medium. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "support/mkcloopw_tool.h"
#include "tools/mkcloopw/rescue.h"

namespace cloopw::test {
namespace {

using Range = Rescue::Range;

/* A medium of which some sectors cannot be read. */
struct BadMedium {
    explicit BadMedium(const std::vector<Range> &bad, int err = EIO) {
        io.before_read = [bad, err](u64 off, size_t len) {
            for (const Range &range : bad) {
                if (off < range.off + range.len && range.off < off + len) {
                    return -err;
                }
            }
            return 0;
        };
    }
    Bytes content = random_bytes(100000);
    TestIo io{"medium", content};
};

Bytes without(Bytes bytes, const std::vector<Range> &bad) {
    for (const Range &range : bad) {
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(range.off), range.len, 0);
    }
    return bytes;
}

TEST(Rescue, LosesNoMoreThanTheBadSectors) {
    const std::vector<Range> bad = {{0, 512}, {4096, 1024}, {8192, 8192}, {99840, 160}};
    BadMedium medium(bad);
    Rescue rescue;
    Bytes read(medium.content.size(), 0xee);
    rescue.read(*medium.io.get(), read.data(), 65536, 0);
    rescue.read(*medium.io.get(), read.data() + 65536, read.size() - 65536, 65536);
    EXPECT_EQ(read, without(medium.content, bad));
    EXPECT_EQ(rescue.lost(), bad);
}

/* Pieces lie where sectors lie, wherever the read begins. */
TEST(Rescue, JoinsWhatIsLostAcrossReads) {
    BadMedium medium({{1024, 1024}});
    Rescue rescue;
    Bytes read(4096);
    rescue.read(*medium.io.get(), read.data(), 2400, 1536);
    rescue.read(*medium.io.get(), read.data(), 1436, 100);
    EXPECT_EQ(rescue.lost(), (std::vector<Range>{{1024, 1024}}));
}

/* A device that was pulled out has no sector that can be read. */
TEST(Rescue, OnlyErrorsOfTheMedium) {
    for (int err : {ENXIO, ENODEV, ENOMEM, ENOMEDIUM}) {
        BadMedium medium({{0, 512}}, err);
        Rescue rescue;
        Bytes read(4096);
        EXPECT_THROW(rescue.read(*medium.io.get(), read.data(), 4096, 0), Error);
    }
    for (int err : {EIO, ENODATA, EILSEQ, EREMOTEIO, EBADMSG, ETIMEDOUT}) {
        BadMedium medium({{0, 512}}, err);
        Rescue rescue;
        Bytes read(4096);
        rescue.read(*medium.io.get(), read.data(), 4096, 0);
        EXPECT_EQ(rescue.lost(), (std::vector<Range>{{0, 512}}));
    }
}

/* Says that it has 4096 bytes, and has a few: reading all of them fails. */
constexpr const char *kShort = "/sys/devices/system/cpu/online";

TEST_F(Mkcloopw, RescueMakesAnImageAndFails) {
    struct stat st = {};
    ASSERT_EQ(stat(kShort, &st), 0);
    ASSERT_EQ(st.st_size, 4096);
    expect_refusal(1, "Input/output error", {"-I", "raw", kShort, out_});
    ToolResult result = tool({"--rescue", "-q", kShort, out_});
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, std::string(kShort) +
                              ": lost 4096 bytes at 0\n"
                              "mkcloopw: 4096 bytes of " +
                              kShort + " could not be read; " + out_ +
                              " is complete, with zeros there\n");
    EXPECT_EQ(extract(out_), Bytes(4096, 0));

    result = tool({"--rescue", "--json", "-f", kShort, out_});
    EXPECT_EQ(result.code, 1);
    nlohmann::json json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["lost_bytes"], 4096);
    EXPECT_EQ(json["lost"], nlohmann::json::parse(R"([{"offset": 0, "length": 4096}])"));
}

TEST_F(Mkcloopw, RescueOfAGoodMediumIsAsAlways) {
    expect_success({"-q", in_, out_});
    const Bytes usual = read_bytes(out_);
    expect_success({"-q", "-f", "--rescue", in_, out_});
    EXPECT_EQ(read_bytes(out_), usual);
    ToolResult result = tool({"--json", "-f", "--rescue", in_, out_});
    nlohmann::json json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["lost_bytes"], 0);
    EXPECT_TRUE(json["lost"].empty());
}

TEST_F(Mkcloopw, RescueIsForRawInput) {
    const std::string image = dir_ / "image";
    expect_success({"-q", in_, image});
    expect_refusal(1, "image: is an image of format cloopw, not a raw one; 'cloopwck --salvage'",
                   {"--rescue", image, out_});
    expect_refusal(2, "--rescue: standard input cannot be read again", {"--rescue", "-", out_});
    const std::vector<std::pair<Args, std::string>> others = {
        {{"-x"}, "--extract"},
        {{"--cow", in_}, "--cow"},
        {{"--from-dir", in_}, "--from-dir"},
        {{"--merge", in_}, "--merge"},
        {{"-I", "cloop2"}, "an --input-format but raw"}};
    for (const auto &[args, name] : others) {
        Args all = args;
        all.insert(all.end(), {"--rescue", image, out_});
        if (name == "--from-dir") {
            all.pop_back();
        }
        expect_refusal(2, "--rescue and " + name + " do not go together", all);
    }
    const std::string fifo = dir_ / "fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const int keep = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
    expect_refusal(1, "fifo: can only be read once, not with --rescue", {"--rescue", fifo, out_});
    close(keep);
    expect_refusal(2, "--rescue and --dry-run do not go together", {"--rescue", "--dry-run", in_});
}

}  // namespace
}  // namespace cloopw::test
