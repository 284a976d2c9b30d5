// SPDX-License-Identifier: GPL-2.0
/* A name that nobody else has: by whichever way the file system knows. */
#include "lib/new_name.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "support/data.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

namespace fs = std::filesystem;

using Rename = int (*)(const std::string &, const std::string &);

class NewName : public testing::TestWithParam<Rename> {
protected:
    ScratchDir dir_;
    const std::string from_ = dir_.write("from", Bytes(3));
    const std::string to_ = dir_ / "to";
};

TEST_P(NewName, IsTheOnlyOneAfterwards) {
    EXPECT_EQ(GetParam()(from_, to_), 0);
    EXPECT_FALSE(fs::exists(from_));
    EXPECT_EQ(fs::file_size(to_), 3U);
}

TEST_P(NewName, OfAnotherStays) {
    dir_.write("to", Bytes(5));
    EXPECT_EQ(GetParam()(from_, to_), EEXIST);
    EXPECT_EQ(fs::file_size(to_), 5U);
    EXPECT_EQ(fs::file_size(from_), 3U);
}

TEST_P(NewName, OfALinkToNothingIsAnothers) {
    fs::create_symlink("nothing", to_);
    EXPECT_EQ(GetParam()(from_, to_), EEXIST);
    EXPECT_TRUE(fs::is_symlink(to_));
}

TEST_P(NewName, InADirectoryThatIsNotThere) {
    EXPECT_EQ(GetParam()(from_, dir_ / "none/to"), ENOENT);
    EXPECT_EQ(fs::file_size(from_), 3U);
}

INSTANTIATE_TEST_SUITE_P(Ways, NewName, testing::Values(rename_to_new, rename_to_new_by_link));

}  // namespace
}  // namespace cloopw::test
