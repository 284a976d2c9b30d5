// SPDX-License-Identifier: GPL-2.0
#include "tools/common/output_file.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "lib/cow/lock.h"
#include "support/scratch_dir.h"

namespace cloopw::test {
namespace {

const Bytes kNew = {'n', 'e', 'w'};
const Bytes kOld = {'o', 'l', 'd', '!'};

/* With and without a name while it is written. */
class OutputFileTest : public testing::TestWithParam<bool> {
protected:
    static OutputFileOptions options(bool force = false) {
        OutputFileOptions options;
        options.force = force;
        options.unnamed = GetParam();
        return options;
    }
    static mode_t mode_of(const std::string &path) {
        struct stat st = {};
        EXPECT_EQ(stat(path.c_str(), &st), 0);
        return st.st_mode & 07777;
    }

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

/* A user who may not read the old file may not read the new one. */
TEST_P(OutputFileTest, IsAsPrivateAsItsInputs) {
    OutputFileOptions how = options();
    for (mode_t mode : {0600, 0640, 0644}) {
        how.inputs = {dir_.write("one", kOld), dir_.write("two", kOld)};
        ASSERT_EQ(chmod(how.inputs[0].c_str(), 0644), 0);
        ASSERT_EQ(chmod(how.inputs[1].c_str(), mode), 0);
        OutputFile(path_, how).commit();
        EXPECT_EQ(mode_of(path_), mode);
        std::filesystem::remove(path_);
    }
    how.like = how.inputs[1];
    ASSERT_EQ(chmod(how.like.c_str(), 0460), 0);
    OutputFile(path_, how).commit();
    EXPECT_EQ(mode_of(path_), 0460U);
}

/* The group of the input is not the output's. */
TEST_P(OutputFileTest, AnotherGroupMayDoWhatAllMay) {
    OutputFileOptions how = options();
    how.inputs = {dir_.write("one", kOld)};
    ASSERT_EQ(chmod(how.inputs[0].c_str(), 0640), 0);
    const bool root = getuid() == 0;
    if (root) {
        ASSERT_EQ(chown(how.inputs[0].c_str(), 12, 34), 0);
    }
    OutputFile(path_, how).commit();
    EXPECT_EQ(mode_of(path_), root ? 0600U : 0640U);
}

TEST_P(OutputFileTest, KeepsModeOwnerAndAttributesOfWhatItReplaces) {
    dir_.write("out", kOld);
    ASSERT_EQ(chmod(path_.c_str(), 0620), 0);
    ASSERT_EQ(setxattr(path_.c_str(), "user.note", "kept", 4, 0), 0) << strerror(errno);
    if (getuid() == 0) {
        ASSERT_EQ(chown(path_.c_str(), 12, 34), 0);
    }
    OutputFile file(path_, options(true));
    write(file);
    file.commit();
    EXPECT_EQ(read_bytes(path_), kNew);
    EXPECT_EQ(mode_of(path_), 0620U);
    char value[8] = {};
    EXPECT_EQ(getxattr(path_.c_str(), "user.note", value, sizeof(value)), 4);
    EXPECT_STREQ(value, "kept");
    struct stat st = {};
    ASSERT_EQ(stat(path_.c_str(), &st), 0);
    EXPECT_EQ(st.st_uid, getuid() == 0 ? 12U : getuid());
}

/* In a user namespace that knows root alone, the owner is nobody that a file can be given to. */
TEST_P(OutputFileTest, IsTheUsersOwnWhereTheOwnerIsNotKnown) {
    dir_.write("out", kOld);
    ASSERT_EQ(chmod(path_.c_str(), 0664), 0);
    const bool root = getuid() == 0;
    if (root) {
        ASSERT_EQ(chown(path_.c_str(), 12, 34), 0);
    }
    const std::string user = "0 " + std::to_string(getuid()) + " 1";
    const std::string group = "0 " + std::to_string(getgid()) + " 1";
    EXPECT_EXIT(
        {
            if (unshare(CLONE_NEWUSER) != 0) {
                std::perror("unshare");
                std::exit(1);
            }
            std::ofstream("/proc/self/setgroups") << "deny";
            std::ofstream("/proc/self/uid_map") << user;
            std::ofstream("/proc/self/gid_map") << group;
            OutputFile file(path_, options(true));
            write(file);
            file.commit();
            std::exit(0);
        },
        testing::ExitedWithCode(0), "");
    EXPECT_EQ(read_bytes(path_), kNew);
    EXPECT_EQ(mode_of(path_), root ? 0644U : 0664U)
        << "a group that is not the file's may not write it";
}

/* Its user would go on in a file without a name. */
TEST_P(OutputFileTest, DoesNotReplaceACowFileInUse) {
    Bytes cow(CW_LOG_START, 0);
    memcpy(cow.data(), CW_LOG_MAGIC, 8);
    dir_.write("out", cow);
    {
        const Io server = Io::open(path_, Io::Mode::kReadWrite);
        lock_cow(server.fd(), path_, true);
        EXPECT_NE(why_not(options(true)).find("is in use by another program"), std::string::npos);
        EXPECT_EQ(read_bytes(path_), cow);
    }
    EXPECT_EQ(why_not(options(true)), "");
}

TEST_P(OutputFileTest, NamesMayBeAsLongAsTheFileSystemAllows) {
    std::string name;
    while (name.size() + 3 <= 255) {
        name += "\xe2\x82\xac";
    }
    for (bool force : {false, true}) {
        OutputFile file(dir_ / name, options(force));
        write(file);
        file.commit();
    }
    EXPECT_EQ(dir_.names(), std::vector<std::string>{name});
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
