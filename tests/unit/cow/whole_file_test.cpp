// SPDX-License-Identifier: GPL-2.0
/* Making a file as a whole or not at all. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lib/cow/cow_file.h"
#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

class WholeFile : public Cloopwsetup, public testing::WithParamInterface<Appear> {};

TEST_P(WholeFile, AppearsWithItsContent) {
    ASSERT_TRUE(create_whole_file(path("new"), GetParam(),
                                  [](int fd) { EXPECT_EQ(::write(fd, "text", 4), 4); }));
    EXPECT_EQ(read("new"), "text");
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel", "new"}));
    struct stat st = {};
    stat(path("new").c_str(), &st);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_P(WholeFile, IsNotThereBefore) {
    bool there = true;
    ASSERT_TRUE(
        create_whole_file(path("new"), GetParam(), [&](int) { there = fs::exists(path("new")); }));
    EXPECT_FALSE(there);
}

TEST_P(WholeFile, LeavesNothingWhenFillingFails) {
    auto fail = [](int) { throw Error("cannot"); };
    EXPECT_THROW(create_whole_file(path("new"), GetParam(), fail), Error);
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_P(WholeFile, DoesNotReplaceWhatAppearsMeanwhile) {
    auto fill = [&](int) { write("new", text_bytes(10)); };
    EXPECT_THROW(create_whole_file(path("new"), GetParam(), fill), Error);
    EXPECT_EQ(read("new").size(), 10U);
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel", "new"}));
}

TEST_P(WholeFile, SaysWhyItCannot) {
    try {
        create_whole_file("/proc/none/new", GetParam(), [](int) {});
        ADD_FAILURE() << "made a file in /proc";
    } catch (const Error &e) {
        EXPECT_EQ(std::string(e.what()),
                  "/proc/none/new: cannot make the COW file: No such file or directory");
    }
}

TEST_F(Cloopwsetup, WhatAPowerCutLeftIsRemoved) {
    for (const char *name : {".cloopw.new.old123", ".cloopw.new.now123", ".cloopw.new.mine"}) {
        write(name, text_bytes(10));
    }
    const timespec old[2] = {{1000, 0}, {1000, 0}};
    for (const char *name : {".cloopw.new.old123", ".cloopw.new.mine"}) {
        ASSERT_EQ(utimensat(AT_FDCWD, path(name).c_str(), old, 0), 0);
    }
    ASSERT_TRUE(create_whole_file(path("new"), Appear::kRenamed, [](int) {}));
    EXPECT_EQ(files(), (std::vector<std::string>{".cloopw.new.mine", ".cloopw.new.now123",
                                                 "disk.img", "kernel", "new"}));
}

INSTANTIATE_TEST_SUITE_P(Appear, WholeFile, testing::Values(Appear::kUnnamed, Appear::kRenamed),
                         [](const auto &how) {
                             return how.param == Appear::kUnnamed ? "Unnamed" : "Renamed";
                         });

TEST_F(Cloopwsetup, FileSystemWithoutUnnamedFiles) {
    /* /proc has none; nor can one be made there in the other way. */
    EXPECT_FALSE(create_whole_file("/proc/new", Appear::kUnnamed, [](int) {}));
}

}  // namespace
}  // namespace cloopw::test
