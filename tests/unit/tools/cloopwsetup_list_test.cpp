// SPDX-License-Identifier: GPL-2.0
/* The list, the status, and the devices of a file. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, ListsInATable) {
    runs({"-c", path("cow"), device(1), image()});
    for (const Args &args : {Args{}, Args{"-l"}, Args{"--list"}, Args{"-a"}}) {
        runs(args);
        EXPECT_TRUE(std::regex_match(
            placeholders(out_),
            std::regex("NAME +SIZE +RO +IMAGE +FORMAT +COW +RATIO +COW_LIVE +COW_DEAD +COW_TOTAL "
                       "+COW_RATIO +DIO +STATE *\n"
                       "DEV/cloopw1 +1.0 MiB +0 +DIR/disk.img +raw +DIR/cow +2.50 +1.0 MiB "
                       "+512.0 KiB +2.0 MiB +1.50 +0 +ok *\n")))
            << out_;
    }
}

TEST_F(Cloopwsetup, ListsInTheOrderOfNumbers) {
    for (int i : {10, 9, 0}) {
        runs({device(i), image()});
    }
    runs({"-n", "-O", "name"});
    EXPECT_EQ(out_, device(0) + "\n" + device(9) + "\n" + device(10) + "\n");
}

TEST_F(Cloopwsetup, ListsOnlyThoseAskedFor) {
    runs({device(0), image()});
    runs({device(1), image()});
    runs({"-l", "-n", "-O", "NAME", device(1)});
    EXPECT_EQ(out_, device(1) + "\n");
    refuses({"-l", device(7)},
            "DEV/cloopw7: no such device; 'cloopwsetup' alone lists those in use");
}

TEST_F(Cloopwsetup, ListsNothingSilently) {
    runs({});
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, ListsAsJson) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(1), image()});
    json devices = json::parse(out_of({"--json", "--output-all"})).at("cloopwdevices");
    ASSERT_EQ(devices.size(), 2U);
    const json &first = devices.at(0);
    EXPECT_EQ(first.at("name"), device(0));
    EXPECT_EQ(first.at("size"), kImageSize);
    EXPECT_TRUE(first.at("size").is_number_unsigned());
    EXPECT_EQ(first.at("ro"), false);
    EXPECT_EQ(first.at("cow"), json::array({path("cow")}));
    EXPECT_EQ(first.at("ratio"), 2.5);
    EXPECT_EQ(first.at("codecs"), json::array({"lz4", "zstd"}));
    EXPECT_EQ(first.at("label"), nullptr);
    EXPECT_EQ(first.at("maj_min"), "251:0");
    EXPECT_EQ(devices.at(1).at("ro"), true);
    EXPECT_EQ(devices.at(1).at("cow"), json::array());
}

TEST_F(Cloopwsetup, JsonHasTheColumnsOfTheTable) {
    runs({device(0), image()});
    json device = json::parse(out_of({"-J"})).at("cloopwdevices").at(0);
    std::vector<std::string> keys;
    for (const auto &item : device.items()) {
        keys.push_back(item.key());
    }
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(keys, (std::vector<std::string>{"cow", "cow_dead", "cow_live", "cow_ratio",
                                              "cow_total", "dio", "format", "image", "name",
                                              "ratio", "ro", "size", "state"}));
}

TEST_F(Cloopwsetup, JsonOfMalformedAttributesIsNull) {
    runs({device(0), image()});
    kernel_->set_attribute(0, "size", "many");
    kernel_->set_attribute(0, "ratio", "");
    json device = json::parse(out_of({"-J"})).at("cloopwdevices").at(0);
    EXPECT_EQ(device.at("size"), nullptr);
    EXPECT_EQ(device.at("ratio"), nullptr);
}

TEST_F(Cloopwsetup, JsonOfANameThatIsNotUtf8) {
    runs({device(0), image()});
    kernel_->set_attribute(0, "image", "/a\xff");
    EXPECT_EQ(json::parse(out_of({"-J"})).at("cloopwdevices").at(0).at("image"), R"(/a\xff)");
}

TEST_F(Cloopwsetup, ColumnsInAnyOrderAndCase) {
    runs({device(0), image()});
    runs({"-O", "ratio,NAME,cache-hits"});
    EXPECT_TRUE(std::regex_match(placeholders(out_),
                                 std::regex("RATIO +NAME +CACHE_HITS\n *2.50 +DEV/cloopw0 +17\n")))
        << out_;
}

TEST_F(Cloopwsetup, UnknownColumn) {
    EXPECT_EQ(run({"-O", "NAME,COLOUR"}), 2);
    EXPECT_TRUE(contains(err_, "-O: no column 'COLOUR', there are: NAME SIZE RO ")) << err_;
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, RawIsForScripts) {
    write("a b.img", text_bytes(kImageSize));
    runs({device(0), path("a b.img")});
    runs({"--raw", "-O", "NAME,IMAGE,SIZE"});
    EXPECT_EQ(placeholders(out_), "NAME IMAGE SIZE\nDEV/cloopw0 DIR/a\\x20b.img 1048576\n");
    runs({"--raw", "-n", "-O", "RO,LABEL,SIZE"});
    EXPECT_EQ(out_, "1  1048576\n");
    kernel_->set_attribute(0, "image", "/a\\012b\xff");
    runs({"--raw", "-n", "-O", "IMAGE"});
    EXPECT_EQ(out_, "/a\\x0ab\\xff\n") << "the bytes of the name, each once";
}

TEST_F(Cloopwsetup, StatusOfOneDevice) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(0)});
    std::string text = placeholders(out_);
    for (const char *line :
         {"name: DEV/cloopw0\n", "size: 1048576 (1.0 MiB)\n", "ro: 0\n", "image: DIR/disk.img\n",
          "format: raw\n", "cow: DIR/cow\n", "cow_format: log\n", "offset: 0\n", "state: ok\n"}) {
        EXPECT_TRUE(contains(text, line)) << line << "is not in\n" << text;
    }
    EXPECT_FALSE(contains(text, "label")) << "it has none";
}

TEST_F(Cloopwsetup, StatusNamesEachLayer) {
    runs({"-c", path("lower"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    runs({device(0)});
    EXPECT_TRUE(contains(placeholders(out_), "cow: DIR/top\ncow: DIR/lower\n")) << out_;
}

TEST_F(Cloopwsetup, StatusAsJsonHasAllKeys) {
    runs({device(0), image()});
    json device = json::parse(out_of({this->device(0), "--json"})).at("cloopwdevices").at(0);
    EXPECT_EQ(device.at("cache_hits"), 17);
    EXPECT_EQ(device.at("uuid"), nullptr);
}

TEST_F(Cloopwsetup, StatusOfAnIdleDevice) { refuses({device(0)}, "DEV/cloopw0: has no image"); }

TEST_F(Cloopwsetup, AssociatedWithAnImage) {
    write("other.img", text_bytes(kImageSize));
    runs({device(0), path("other.img")});
    runs({device(1), image()});
    runs({"-n", "-O", "NAME", "-j", image()});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedThroughALink) {
    runs({device(1), image()});
    fs::create_symlink("disk.img", path("link"));
    runs({"-n", "-O", "NAME", "-j", path("link")});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithACow) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(1), image()});
    runs({"-n", "-O", "NAME", "-j", path("cow")});
    EXPECT_EQ(out_, device(0) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithAnImageThatWasRenamed) {
    runs({device(1), image()});
    fs::rename(image(), path("new-name"));
    runs({"-n", "-O", "NAME", "-j", path("new-name")});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithAnImageThatIsGone) {
    runs({device(1), image()});
    kernel_->set_attribute(1, "image", image() + " (deleted)");
    fs::remove(image());
    runs({"-n", "-O", "NAME", "-j", image() + " (deleted)"});
    EXPECT_EQ(out_, device(1) + "\n");
    runs({"-j", image()});
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, AssociatedAtAnOffset) {
    runs({device(0), image()});
    runs({"-o", "64K", device(1), image()});
    runs({"-n", "-O", "NAME", "-j", image(), "-o", "64K"});
    EXPECT_EQ(out_, device(1) + "\n");
}

}  // namespace
}  // namespace cloopw::test
