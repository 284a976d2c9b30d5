// SPDX-License-Identifier: GPL-2.0
/* The command line. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <regex>
#include <sstream>

#include "support/cloopwsetup_tool.h"
#include "tools/cloopwsetup/driver.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, WrongUsage) {
    struct Case {
        Args args;
        std::string line;
    };
    const Case kCases[] = {
        {{"-d"}, "-d: which DEVICE?"},
        {{"-o", "", device(0), image()}, "--offset: is empty"},
        {{"--format", "", device(0), image()}, "--format: is empty"},
        {{"-c", "", device(0), image()}, "--cow: is empty"},
        {{"-f", ""}, "a name: is empty"},
        {{"--sector-size", "1024", device(0), image()},
         "--sector-size 1024: there is no such size; know 512, 4096"},
        {{"--driver", "--userspace=ublk", device(0), image()}, "--driver: not with --userspace"},
        {{"--driver", "--sector-size", "4096", device(0), image()},
         "--sector-size 4096: not by the module; leave --driver away, or write --userspace=ublk"},
        {{"--userspace=nbd", "--sector-size", "4096", image()},
         "--sector-size 4096: not by nbd; --userspace=ublk and --userspace=fuse can"},
        {{"-D", device(0)}, "-D takes no DEVICE; -d does"},
        {{"-f", device(0), image()}, "-f finds the device by itself: give only an IMAGE"},
        {{device(0), image(), image()}, "one DEVICE and one IMAGE at a time"},
        {{"-d", "-l", device(0)},
         "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, and "
         "-l or -j "
         "at a "
         "time"},
        {{"-f", "-D"},
         "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, and "
         "-l or -j "
         "at a "
         "time"},
        {{"-c", "cow", device(0)},
         "-c,--cow has no meaning when listing; to attach, give DEVICE and IMAGE"},
        {{"-r", "-d", device(0)}, "-r,--read-only has no meaning when detaching"},
        {{"--show", "-f"}, "--show has no meaning when finding a free device"},
        {{"-J", device(0), image()}, "-J,--json has no meaning when attaching"},
        {{"-o", "1M", "-d", device(0)}, "-o has no meaning when detaching"},
        {{"-o", "1M", "-l"}, "-o has no meaning when listing"},
        {{"--cow-format", "uml", device(0), image()},
         "--cow-format: without -c there is no COW file"},
        {{"--cow-format", "none", "-c", "x", device(0), image()},
         "--cow-format: no format 'none', there are: log, uml"},
        {{"--json", "--raw"}, "--json or --raw, not both"},
        {{"-O", "NAME", "--output-all"}, "-O or --output-all, not both"},
    };
    for (const Case &c : kCases) {
        EXPECT_EQ(run(c.args), 2) << c.line;
        EXPECT_EQ(err_, "cloopwsetup: " + c.line + "\nTry 'cloopwsetup --help'.\n");
        EXPECT_EQ(out_, "");
    }
}

TEST_F(Cloopwsetup, WrongValues) {
    for (const Args &args :
         {Args{"-o", "far", device(0), image()}, Args{"--sizelimit", "-1", device(0), image()},
          Args{"--cache", "99999999999999999999", device(0), image()},
          Args{"--format", "zip", device(0), image()}, Args{"--nonsense"}, Args{"-c"}}) {
        EXPECT_EQ(run(args), 2) << args.front();
        EXPECT_TRUE(contains(err_, args.front())) << err_;
    }
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
}

TEST_F(Cloopwsetup, UnknownFormatNamesTheKnownOnes) {
    EXPECT_EQ(run({"--format", "zip", device(0), image()}), 2);
    for (const char *name : {"raw", "cloop2", "cloopw"}) {
        EXPECT_TRUE(contains(err_, name)) << err_;
    }
}

TEST_F(Cloopwsetup, HelpFitsEightyColumns) {
    runs({"--help"});
    std::istringstream lines(out_);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 80U) << line;
    }
    EXPECT_TRUE(contains(out_, "\nExamples:\n  cloopwsetup -c ")) << out_;
    EXPECT_EQ(err_, "");
}

/* The parser and the help have the same options. */
TEST_F(Cloopwsetup, HelpNamesAllOptions) {
    runs({"-h"});
    const std::string help = out_;
    const std::regex option("(^|[ ,])(--?[a-zA-Z][-a-z]*)");
    for (std::sregex_iterator it(help.begin(), help.end(), option), end; it != end; ++it) {
        std::string name = (*it)[2];
        run({name});
        EXPECT_FALSE(contains(err_, "not expected")) << name << ": " << err_;
    }
    for (const char *name :
         {"--snapshot",   "--cow",        "--read-only",  "--offset",     "--sizelimit",
          "--format",     "--cow-format", "--cache",      "--partscan",   "--find",
          "--show",       "--detach",     "--detach-all", "--list",       "--all",
          "--associated", "--output",     "--output-all", "--noheadings", "--json",
          "--raw",        "--verbose",    "--version",    "--help",       "--cow-codec",
          "--ram",        "--cow-level",  "--cow-limit",  "--low-space",  "--force",
          "--driver",     "--userspace"}) {
        EXPECT_TRUE(contains(help, name)) << name;
    }
}

TEST_F(Cloopwsetup, Version) {
    runs({"--version"});
    EXPECT_TRUE(std::regex_match(out_, std::regex("cloopwsetup [0-9.]+\n"))) << out_;
}

TEST_F(Cloopwsetup, FullStandardOutputIsAnError) {
    std::ofstream full("/dev/full");
    std::ostringstream err;
    Streams streams = {full, err, -1, -1, false, 80};
    EXPECT_EQ(cloopwsetup({"-f"}, streams, *kernel_), 1);
    EXPECT_EQ(err.str(), "cloopwsetup: standard output: cannot write: No space left on device\n");
}

TEST_F(Cloopwsetup, WhatCannotBeShownIsDetached) {
    std::ofstream full("/dev/full");
    std::ostringstream err;
    Streams streams = {full, err, -1, -1, false, 80};
    EXPECT_EQ(cloopwsetup({"--show", device(0), image()}, streams, *kernel_), 1);
    EXPECT_EQ(placeholders(err.str()),
              "cloopwsetup: standard output: cannot write: No space left on device; DEV/cloopw0 "
              "was detached again\n");
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
}

TEST(DeviceNumber, IsThatOfCloopwAndNothingElse) {
    EXPECT_EQ(device_number("cloopw0"), 0);
    EXPECT_EQ(device_number("cloopw12"), 12);
    for (const char *name : {"cloopw", "cloopw-control", "cloopw0p1", "cloopw01", "cloopw+1",
                             "cloopw-1", "loop0", "xcloopw0", "cloopw99999999999", ""}) {
        EXPECT_EQ(device_number(name), std::nullopt) << name;
    }
}

TEST(SystemKernelRun, GivesStatusAndOutput) {
    SystemKernel kernel;
    std::string said;
    EXPECT_EQ(kernel.run({"/bin/sh", "-c", "echo no >&2; exit 3"}, &said), 3);
    EXPECT_EQ(said, "no\n");
    EXPECT_EQ(kernel.run({"/nonexistent"}, &said), -ENOENT);
}

TEST(SystemKernelNodes, ReturnErrorsAsNumbers) {
    SystemKernel kernel;
    struct stat st = {};
    EXPECT_EQ(kernel.stat("/nonexistent", &st), -ENOENT);
    EXPECT_EQ(kernel.open("/nonexistent", O_RDONLY), -ENOENT);
    int fd = kernel.open("/dev/null", O_RDONLY);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(kernel.ioctl(fd, CLOOPW_CLEAR, 0), -ENOTTY);
    kernel.close(fd);
    EXPECT_EQ(kernel.stat("/dev/null", &st), 0);
    EXPECT_TRUE(S_ISCHR(st.st_mode));
}

}  // namespace
}  // namespace cloopw::test
