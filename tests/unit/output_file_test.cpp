// SPDX-License-Identifier: GPL-2.0
#include "tools/common/output_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

const Bytes kNew = {'n', 'e', 'w'};
const Bytes kOld = {'o', 'l', 'd', '!'};

/* With and without a name while it is written. */
class OutputFileTest : public testing::TestWithParam<bool> {
protected:
    OutputFileOptions options(bool force = false) const { return {{}, force, GetParam()}; }

    static void write(const OutputFile &file) { file.io().write(kNew.data(), kNew.size(), 0); }

    std::string why_not(const OutputFileOptions &options) {
        try {
            OutputFile file(path_, options);
        } catch (const Error &e) {
            return e.what();
        }
        return {};
    }

    ScratchDir dir_;
    std::string path_ = dir_ / "out";
};

INSTANTIATE_TEST_SUITE_P(Unnamed, OutputFileTest, testing::Bool());

TEST_P(OutputFileTest, AppearsWhenCommitted) {
    OutputFile file(path_, options());
    write(file);
    EXPECT_FALSE(std::filesystem::exists(path_));
    file.commit();
    EXPECT_EQ(read_bytes(path_), kNew);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"out"});
}

TEST_P(OutputFileTest, LeavesNothingWhenNotCommitted) {
    { write(OutputFile(path_, options())); }
    EXPECT_TRUE(dir_.names().empty());
}

TEST_P(OutputFileTest, HasTheModeThatTheUmaskGives) {
    mode_t before = umask(027);
    OutputFile file(path_, options());
    umask(before);
    file.commit();
    struct stat st = {};
    ASSERT_EQ(stat(path_.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0640u);
}

TEST_P(OutputFileTest, RefusesAnExistingFile) {
    dir_.write("out", kOld);
    EXPECT_EQ(why_not(options()), path_ + ": exists already; use --force to overwrite it");
    EXPECT_EQ(read_bytes(path_), kOld);
}

TEST_P(OutputFileTest, RefusesAFileThatAppearsMeanwhile) {
    OutputFile file(path_, options());
    write(file);
    dir_.write("out", kOld);
    EXPECT_THROW(file.commit(), Error);
    EXPECT_EQ(read_bytes(path_), kOld);
}

TEST_P(OutputFileTest, ForceReplaces) {
    dir_.write("out", kOld);
    {
        OutputFile file(path_, options(true));
        write(file);
        EXPECT_EQ(read_bytes(path_), kOld) << "until the new one is complete";
        file.commit();
    }
    EXPECT_EQ(read_bytes(path_), kNew);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"out"});
}

TEST_P(OutputFileTest, ForceKeepsTheOldOneOnFailure) {
    dir_.write("out", kOld);
    { write(OutputFile(path_, options(true))); }
    EXPECT_EQ(read_bytes(path_), kOld);
    EXPECT_EQ(dir_.names(), std::vector<std::string>{"out"});
}

TEST_P(OutputFileTest, FollowsASymbolicLink) {
    dir_.write("real", kOld);
    ASSERT_EQ(symlink("real", path_.c_str()), 0);
    OutputFile file(path_, options(true));
    write(file);
    file.commit();
    EXPECT_TRUE(std::filesystem::is_symlink(path_));
    EXPECT_EQ(read_bytes(dir_ / "real"), kNew);
}

TEST_P(OutputFileTest, RefusesWhatIsNoPlaceForAFile) {
    ASSERT_EQ(symlink("nowhere", path_.c_str()), 0);
    EXPECT_NE(why_not(options(true)).find("symbolic link to nothing"), std::string::npos);

    path_ = dir_.path();
    EXPECT_EQ(why_not(options(true)), path_ + ": is a directory; name a file in it");

    path_ = "/dev/null";
    EXPECT_EQ(why_not(options(true)), "/dev/null: is neither a file nor a block device");

    path_ = dir_ / "missing/out";
    EXPECT_EQ(why_not(options()),
              path_ + ": cannot be created: No such file or directory; its directory must exist");

    path_ = dir_.write("file", kOld) + "/out";
    EXPECT_NE(why_not(options()).find("Not a directory"), std::string::npos);
}

TEST_P(OutputFileTest, RefusesItsInput) {
    dir_.write("out", kOld);
    ASSERT_EQ(link(path_.c_str(), (dir_ / "hard").c_str()), 0);
    ASSERT_EQ(symlink("out", (dir_ / "soft").c_str()), 0);
    for (const char *name : {"out", "hard", "soft"}) {
        OutputFileOptions with_input = options(true);
        with_input.inputs = {dir_ / name};
        EXPECT_EQ(why_not(with_input), path_ + ": is the input; name another output") << name;
    }
}

}  // namespace
}  // namespace cloopw::test
