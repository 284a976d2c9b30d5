// SPDX-License-Identifier: GPL-2.0
#include "lib/replace_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "lib/device_node.h"
#include "lib/error.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

constexpr mode_t kPrivate = S_IRUSR | S_IWUSR;

std::string text_of(const std::string &path) {
    const Bytes bytes = read_bytes(path);
    return {bytes.begin(), bytes.end()};
}

TEST(ReplaceFile, PutsAllOfTheTextThere) {
    ScratchDir dir;
    const std::string path = dir.write("state", Bytes(5000, 'x'));
    replace_file(path, "new\n", kPrivate);
    EXPECT_EQ(text_of(path), "new\n");
    EXPECT_EQ(dir.names(), std::vector<std::string>{"state"});
}

TEST(ReplaceFile, TheModeIsTheGivenOne) {
    ScratchDir dir;
    const std::string path = dir.write("state", Bytes(9, 'x'));
    chmod(path.c_str(), 0666);
    replace_file(path, "", kPrivate);
    struct stat st = {};
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, kPrivate);
    EXPECT_EQ(st.st_size, 0);
}

TEST(ReplaceFile, AFailureLeavesTheOldFile) {
    ScratchDir dir;
    const std::string path = dir / "state";
    std::filesystem::create_directory(path);
    EXPECT_THROW(replace_file(path, "new", kPrivate), Error);
    EXPECT_EQ(dir.names(), std::vector<std::string>{"state"});
    EXPECT_THROW(replace_file(dir / "none/state", "new", kPrivate), Error);
}

TEST(ReplaceFile, ANameMayHaveTheGreatestLength) {
    ScratchDir dir;
    const std::string name(255, 'x');
    replace_file(dir / name, "new", kPrivate);
    EXPECT_EQ(text_of(dir / name), "new");
    EXPECT_EQ(dir.names(), std::vector<std::string>{name});
}

TEST(DeviceNode, NumbersThatAreNoneMakeNoNode) {
    ScratchDir dir;
    for (const char *numbers : {"", "7", "seven:1"}) {
        EXPECT_EQ(make_device_node(dir / "node", S_IFBLK, numbers), ENODEV) << numbers;
    }
    EXPECT_TRUE(dir.names().empty());
}

}  // namespace
}  // namespace cloopw::test
