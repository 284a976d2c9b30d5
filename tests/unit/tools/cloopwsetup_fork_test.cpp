// SPDX-License-Identifier: GPL-2.0
/* cloopwsetup --fork: many writable devices over one base. */

#include <fcntl.h>
#include <sys/file.h>

#include "lib/cow/chain.h"
#include "lib/fd.h"
#include "support/cloopwsetup_tool.h"
#include "tools/cloopwsetup/attach.h"
#include "tools/cloopwsetup/fork.h"

namespace cloopw::test {
namespace {

class CloopwsetupFork : public Cloopwsetup {
protected:
    CloopwsetupFork() { fs::create_directory(path("forks")); }

    Bytes shown(int number) {
        Bytes bytes(kImageSize);
        attached(number).engine->read(bytes.data(), kImageSize, 0);
        return bytes;
    }
    void change(int number, u64 seed) {
        const Bytes bytes = random_bytes(kImageSize, seed);
        attached(number).engine->write(bytes.data(), kImageSize, 0);
    }
    size_t files() const {
        return static_cast<size_t>(
            std::distance(fs::directory_iterator(path("forks")), fs::directory_iterator()));
    }
    Driver driver_{*kernel_, [](const std::string &) {}};
    int in_use() const {
        int count = 0;
        for (const auto &[number, disk] : kernel_->disks) {
            count += disk ? 1 : 0;
        }
        return count;
    }
};

TEST_F(CloopwsetupFork, EachHasItsOwnChanges) {
    runs({"--fork", "--count", "3", "-c", path("forks"), image()});
    EXPECT_EQ(placeholders(out_), "DEV/cloopw0\nDEV/cloopw1\nDEV/cloopw2\n");
    change(0, 1);
    change(2, 2);
    EXPECT_EQ(shown(0), random_bytes(kImageSize, 1));
    EXPECT_EQ(shown(1), text_bytes(kImageSize));
    EXPECT_EQ(shown(2), random_bytes(kImageSize, 2));
    EXPECT_EQ(identify_cow(path("forks/disk-3.cow")).below, image());
    runs({"--fork", "-J", "-c", path("forks"), image()});
    EXPECT_EQ(placeholders(out_),
              "{\n  \"forks\": [\n    {\n      \"name\": \"DEV/cloopw3\",\n"
              "      \"cow\": \"DIR/forks/disk-4.cow\"\n    }\n  ]\n}\n");
}

TEST_F(CloopwsetupFork, NamesAreAPatternOrOneFile) {
    runs({"--fork", "--count", "2", "-c", path("forks/vm-%-x"), image()});
    EXPECT_TRUE(fs::exists(path("forks/vm-1-x")));
    EXPECT_TRUE(fs::exists(path("forks/vm-2-x")));
    runs({"--fork", "-c", path("one"), image()});
    EXPECT_TRUE(fs::exists(path("one")));
    refuses({"--fork", "-c", path("one"), image()},
            "fork 1 of 1: DIR/one: is there already, and a fork begins with a new COW file; name "
            "another");
    runs({"--fork", "--count", "2", "--ram", image()});
    EXPECT_EQ(in_use(), 5);
}

TEST_F(CloopwsetupFork, ANameThatCannotBeLookedAtIsAnError) {
    const std::string stem(250, 'x');
    fs::copy(image(), path(stem + ".img"));
    refuses({"--fork", "-c", path("forks"), path(stem + ".img")},
            "fork 1 of 1: DIR/forks/" + stem + "-1.cow: cannot be looked at: File name too long");
    fs::create_symlink("loop", path("loop"));
    refuses({"--fork", "-c", path("loop/%"), image()},
            "fork 1 of 1: DIR/loop/1: cannot be looked at: Too many levels of symbolic links");
}

/* The other program's COW file is a sound one, which an attach would take. */
TEST_F(CloopwsetupFork, TwoProgramsThatChooseTheSameNameGetTwoFiles) {
    AttachOptions options;
    options.image = image();
    bool other = true;
    auto attach_one = [&](const AttachOptions &one) {
        if (std::exchange(other, false)) {
            runs({"-c", one.cows.front(), device(0), image()});
            runs({"-d", device(0)});
        }
        return attach(driver_, one);
    };
    const std::vector<Fork> forks = make_forks(driver_, options, 2, path("forks"), attach_one);
    EXPECT_EQ(forks.front().cow, path("forks/disk-2.cow"));
    EXPECT_EQ(files(), 3U);
}

/* Any user can lock a directory that he can read. */
TEST_F(CloopwsetupFork, ALockOfTheDirectoryKeepsNobody) {
    const Fd dir(open(path("forks").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(flock(dir.get(), LOCK_EX), 0);
    runs({"--fork", "-c", path("forks"), image()});
}

TEST_F(CloopwsetupFork, ANameThatWasTakenMeanwhileIsLeft) {
    AttachOptions options;
    options.image = image();
    std::vector<std::string> tried;
    auto attach_one = [&](const AttachOptions &one) {
        tried.push_back(one.cows.front());
        if (tried.size() == 1) {
            fs::copy(image(), one.cows.front());
            throw Error("is there", EEXIST);
        }
        return attach(driver_, one);
    };
    const std::vector<Fork> forks = make_forks(driver_, options, 1, path("forks"), attach_one);
    EXPECT_EQ(tried,
              (std::vector<std::string>{path("forks/disk-1.cow"), path("forks/disk-2.cow")}));
    EXPECT_EQ(forks.front().cow, path("forks/disk-2.cow"));
    EXPECT_THROW(
        make_forks(driver_, options, 1, path("forks"),
                   [](const AttachOptions &) -> DeviceRef { throw Error("is there", EEXIST); }),
        Error);
}

TEST_F(CloopwsetupFork, OfADeviceLiesOverItsSnapshot) {
    runs({"-c", path("cow"), device(0), image()});
    change(0, 1);
    runs({"--snapshot", path("top"), device(0)});
    change(0, 2);
    runs({"--fork", "--count", "2", "-c", path("forks"), device(0)});
    EXPECT_EQ(shown(1), random_bytes(kImageSize, 1));
    change(1, 3);
    EXPECT_EQ(shown(0), random_bytes(kImageSize, 2));
    EXPECT_EQ(shown(1), random_bytes(kImageSize, 3));
    EXPECT_EQ(shown(2), random_bytes(kImageSize, 1));
    refuses({"--fork", "--ram", device(0)},
            "--ram: lies over an image, and DEV/cloopw0 has layers; name a directory with -c", 2);
}

TEST_F(CloopwsetupFork, OfADeviceWithoutASnapshotLiesOverTheImage) {
    runs({"-c", path("cow"), device(0), image()});
    change(0, 1);
    runs({"--fork", "-c", path("forks"), device(0)});
    EXPECT_EQ(shown(1), text_bytes(kImageSize));
    EXPECT_FALSE(identify_cow(path("cow")).frozen);
}

TEST_F(CloopwsetupFork, ALayerThatIsReadAloneMustBeFrozen) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-r", "-c", path("cow"), device(0), image()});
    refuses({"--fork", "-c", path("forks"), device(0)},
            "DIR/cow: is not frozen, so nothing can lie over it; attach it for writing, and freeze "
            "it with 'cloopwsetup --snapshot'");
}

TEST_F(CloopwsetupFork, AMissingLayerIsNamed) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"--snapshot", path("top"), device(0)});
    fs::remove(path("cow"));
    EXPECT_EQ(run({"--fork", "-c", path("forks"), device(0)}), 1);
    EXPECT_NE(err_.find("fork 1 of 1: "), std::string::npos) << err_;
    EXPECT_NE(err_.find(path("cow")), std::string::npos) << err_;
    EXPECT_EQ(files(), 0U);
}

TEST_F(CloopwsetupFork, AFailureTakesAllBack) {
    const std::string third = kernel_->node(2);
    kernel_->open_errors[third] = -EACCES;
    refuses({"--fork", "--count", "4", "-c", path("forks"), image()},
            "fork 3 of 4: DEV/cloopw2: cannot open: Permission denied; run this as root; those "
            "before it are taken back");
    EXPECT_EQ(out_, "");
    EXPECT_EQ(in_use(), 0);
    EXPECT_EQ(files(), 0U);
}

class CloopwsetupForkTakenBack : public CloopwsetupFork {
protected:
    CloopwsetupForkTakenBack() {
        AttachOptions options;
        options.image = image();
        forks_ = make_forks(driver_, options, 1, path("forks"),
                            [&](const AttachOptions &one) { return attach(driver_, one); });
        cow_ = forks_.front().cow;
    }

    std::vector<Fork> forks_;
    std::string cow_;
};

TEST_F(CloopwsetupForkTakenBack, IsGone) {
    EXPECT_EQ(take_back(driver_, forks_), "");
    EXPECT_EQ(files(), 0U);
    EXPECT_EQ(in_use(), 0);
}

TEST_F(CloopwsetupForkTakenBack, AnotherFileOfTheNameStays) {
    std::ofstream(path("other")) << "ten bytes.";
    fs::rename(path("other"), cow_);
    EXPECT_EQ(take_back(driver_, forks_), cow_ + ": is another file by now, or in use");
    EXPECT_EQ(fs::file_size(cow_), 10U);
    EXPECT_EQ(in_use(), 0);
}

TEST_F(CloopwsetupForkTakenBack, AFileThatIsGoneIsNoFault) {
    fs::remove(cow_);
    EXPECT_EQ(take_back(driver_, forks_), "");
}

TEST_F(CloopwsetupFork, WhatCannotBeTakenBackIsNamed) {
    kernel_->open_errors[kernel_->node(1)] = -EACCES;
    kernel_->clear_error = -EPERM;
    kernel_->clear_detaches = false;
    refuses({"--fork", "--count", "2", "-c", path("forks"), image()},
            "fork 2 of 2: DEV/cloopw1: cannot open: Permission denied; run this as root; these "
            "could not be taken back: DEV/cloopw0: cannot detach: Operation not permitted; run "
            "this as root");
}

TEST_F(CloopwsetupFork, WrongUsage) {
    const struct {
        Args args;
        std::string line;
    } cases[] = {
        {{"--fork"}, "--fork: of which DEVICE or IMAGE?"},
        {{"--fork", image()},
         "--fork: where are the changes to go? -c DIR, -c 'NAME-%.cow' or --ram"},
        {{"--fork", "--count", "0", "--ram", image()}, "--count 0: must be within 1..1024"},
        {{"--fork", "--count", "1025", "--ram", image()}, "--count 1025: must be within 1..1024"},
        {{"--fork", "--count", "99999999999999999999", "--ram", image()},
         "--count 99999999999999999999: must be within 1..1024"},
        {{"--fork", "--count", "2x", "--ram", image()}, "--count 2x: must be within 1..1024"},
        {{"--fork", "-c", "a", "-c", "b", image()},
         "--fork: one -c alone, for the new COW files; the layers below are found"},
        {{"--fork", "-r", "-c", "a", image()}, "-r has no meaning when making forks"},
        {{"--fork", "-O", "name", "-c", "a", image()}, "-O has no meaning when making forks"},
        {{"--count", "2", image()}, "--count has no meaning when listing"},
        {{"--fork", "-d", device(0)},
         "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, and "
         "-l or -j at a time"},
    };
    for (const auto &c : cases) {
        refuses(c.args, c.line, 2);
    }
    refuses({"--fork", "--count", "2", "-c", path("a"), image()},
            "-c " + std::string("DIR/a: more than one fork wants a directory, or a name with % in "
                                "the place of the number"),
            2);
}

}  // namespace
}  // namespace cloopw::test
