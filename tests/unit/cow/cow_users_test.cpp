// SPDX-License-Identifier: GPL-2.0
/* Which device uses a file. */
#include "lib/cow/users.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "lib/octal.h"
#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

class CowUsers : public testing::Test {
protected:
    CowUsers() {
        fs::create_directories(dir_ / "block/sda");
        fs::create_directories(dir_ / "block/cloopw3/cloopw/layers/0");
    }
    std::string user_of(const std::string &path) const {
        struct stat st = {};
        EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
        return device_with(st, dir_ / "block", dir_ / "run");
    }
    void attribute(const std::string &name, const std::string &path) const {
        std::ofstream(dir_ / ("block/cloopw3/cloopw/" + name)) << to_octal(path) << '\n';
    }
    void state(const std::string &number, const std::string &text) const {
        fs::create_directories(dir_ / ("run/" + number));
        std::ofstream(dir_ / ("run/" + number + "/state")) << text;
    }

    ScratchDir dir_;
    const std::string image_ = dir_.write("an image\\", Bytes(1));
    const std::string cow_ = dir_.write("a\ncow", Bytes(1));
    const std::string other_ = dir_.write("other", Bytes(1));
};

TEST_F(CowUsers, OfTheDriver) {
    attribute("image", image_);
    attribute("layers/0/path", cow_);
    EXPECT_EQ(user_of(image_), "/dev/cloopw3");
    EXPECT_EQ(user_of(cow_), "/dev/cloopw3");
    EXPECT_EQ(user_of(other_), "");
}

TEST_F(CowUsers, OfAServer) {
    std::string image = to_octal(image_);
    image.insert(image.find('\\'), "\\");
    state("0", "no JSON");
    state("1", "[]");
    state("2", R"({"node": "", "attributes": {}})");
    state("17", R"({"node": "/dev/loop7", "attributes": {"image": ")" + image +
                    R"(", "cow": "/none\n)" + other_ + R"("}})");
    EXPECT_EQ(user_of(image_), "/dev/loop7");
    EXPECT_EQ(user_of(other_), "/dev/loop7");
    EXPECT_EQ(user_of(cow_), "");
}

}  // namespace
}  // namespace cloopw::test
