// SPDX-License-Identifier: GPL-2.0
/* COW files that are none, and refusals of the driver. */
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <regex>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, CowOfAnotherBase) {
    write("small.img", text_bytes(kImageSize / 2));
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), path("small.img")});
    runs({"-d", device(0)});
    refuses({"-c", path("cow"), device(0), image()},
            "DIR/cow: was made for DIR/small.img of 524288 bytes, but DIR/disk.img has 1048576; "
            "give the image it was made for, or another -c for a new COW file; 'cloopwsetup "
            "--same-base' takes this one, if it has the same content");
}

TEST_F(Cloopwsetup, CowOfABaseThatWasChanged) {
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    struct timespec times[2] = {{1000000, 0}, {1000000, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, image().c_str(), times, 0), 0);
    int code = run({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "was made for " + image() + " as modified at")) << err_;
}

TEST_F(Cloopwsetup, TruncatedCow) {
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    fs::resize_file(path("cow"), 100000);
    int code = run({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(std::regex_match(placeholders(err_),
                                 std::regex("cloopwsetup: DIR/cow: truncated: .*; it was copied or "
                                            "downloaded only in part, get it again\n")))
        << err_;
    EXPECT_EQ(fs::file_size(path("cow")), 100000U);
}

TEST_F(Cloopwsetup, FileThatIsNoCowStaysAsItIs) {
    write("letter", text_bytes(5000));
    std::string before = read("letter");
    refuses({"-c", path("letter"), device(0), image()},
            "DIR/letter: is not a COW file and is left as it is; name another file, it is made "
            "when it does not exist");
    EXPECT_EQ(read("letter"), before);
}

TEST_F(Cloopwsetup, AnImageIsNoCowFile) {
    write("other.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    const std::string before = read("other.cloopw");
    refuses({"-c", path("other.cloopw"), device(0), image()},
            "DIR/other.cloopw: is an image of format cloopw, not a COW file, and is left as it is; "
            "name another file, it is made when it does not exist");
    EXPECT_EQ(read("other.cloopw"), before);
}

TEST_F(Cloopwsetup, ALogWithoutItsFirstSuperblockIsOneToRepair) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    std::string bytes = read("cow");
    bytes.replace(CW_LOG_SUPER_STRIDE, CW_LOG_SUPER_LEN, bytes.substr(0, CW_LOG_SUPER_LEN));
    bytes.replace(0, 512, std::string(512, 'x'));
    write("cow", Bytes(bytes.begin(), bytes.end()));
    refuses({"-c", path("cow"), device(0), image()},
            "DIR/cow: the beginning of this COW file is overwritten; 'cloopwck DIR/cow' tells with "
            "what, 'cloopwck -y DIR/cow' writes it again if nothing is lost by that");
    EXPECT_EQ(read("cow"), bytes);
}

TEST_F(Cloopwsetup, EmptyFileIsNoCow) {
    write("empty", {});
    refuses({"-c", path("empty"), device(0), image()},
            "DIR/empty: is empty, not a COW file; remove it, a new one is made then");
    EXPECT_EQ(fs::file_size(path("empty")), 0U);
}

TEST_F(Cloopwsetup, DirectoryIsNoCow) {
    refuses({"-c", dir_, device(0), image()},
            "DIR: is a directory, not a COW file; name a file in it");
}

TEST_F(Cloopwsetup, PipeIsNoCow) {
    ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
    refuses({"-c", path("pipe"), device(0), image()},
            "DIR/pipe: is neither a file nor a block device");
}

TEST_F(Cloopwsetup, LinkToNothingIsNoCow) {
    fs::create_symlink("nothing", path("link"));
    refuses({"-c", path("link"), device(0), image()},
            "DIR/link: is a symbolic link to nothing; remove it or make what it points to");
    EXPECT_TRUE(fs::is_symlink(path("link")));
}

TEST_F(Cloopwsetup, CowInADirectoryThatIsMissing) {
    refuses({"-c", path("none/cow"), device(0), image()},
            "DIR/none/cow: its directory: No such file or directory; make the directory first");
}

TEST_F(Cloopwsetup, CowBelowAFile) {
    refuses({"-c", path("disk.img/cow"), device(0), image()},
            "DIR/disk.img/cow: cannot be looked at: Not a directory");
}

TEST_F(Cloopwsetup, ImageIsNotItsOwnCow) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    refuses({"--format", "raw", "-c", path("cow"), device(0), path("cow")},
            "DIR/cow: is the image, it cannot be its own COW file");
}

TEST_F(Cloopwsetup, SameCowTwice) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    fs::create_hard_link(path("cow"), path("same"));
    refuses({"-c", path("cow"), "-c", path("same"), device(0), image()},
            "DIR/same: is given twice with -c");
}

TEST_F(Cloopwsetup, LowerLayerIsNotMade) {
    refuses({"-c", path("top"), "-c", path("lower"), device(0), image()},
            "DIR/lower: cannot open the lower COW layer: No such file or directory; only the "
            "first -c, the top layer, is made when it is missing");
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_F(Cloopwsetup, ReadOnlyMakesNoCow) {
    refuses({"-r", "-c", path("cow"), device(0), image()},
            "DIR/cow: cannot open: No such file or directory; with -r no COW file is made: leave "
            "-r away");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(Cloopwsetup, MoreLayersThanThereCanBe) {
    Args args = {device(0), image()};
    for (int i = 0; i <= CLOOPW_MAX_LAYERS; i++) {
        args.insert(args.end(), {"-c", path("cow" + std::to_string(i))});
    }
    refuses(args, "-c: 65 COW files are more than 64", 2);
}

TEST_F(Cloopwsetup, NewCowGoesWhenTheDriverRefuses) {
    kernel_->configure_error = -EINVAL;
    kernel_->configure_reason =
        reason_of(Error("offset 100 is not a multiple of 512", EINVAL, CLOOPW_R_BAD_WINDOW));
    refuses({"-c", path("cow"), device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: offset 100 is not a multiple of 512");
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_F(Cloopwsetup, OldCowStaysWhenTheDriverRefuses) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    std::string before = read("cow");
    kernel_->configure_error = -ENOMEM;
    refuses({"-c", path("cow"), device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: Cannot allocate memory; a smaller --cache "
            "needs less");
    EXPECT_EQ(read("cow"), before);
}

TEST_F(Cloopwsetup, FileThatAnotherDeviceUses) {
    kernel_->configure_error = -EBUSY;
    kernel_->configure_reason =
        reason_of(Error(image() + ": already in use for writing", EBUSY, CLOOPW_R_IN_USE));
    refuses({device(0), image()}, "DIR/disk.img: already in use for writing");
}

TEST_F(Cloopwsetup, DeviceThatOthersHaveClaimed) {
    kernel_->configure_error = -EBUSY;
    kernel_->configure_reason =
        reason_of(Error("/dev/sdb2: cannot be claimed as image: it is mounted, or in use "
                        "by another device or program",
                        EBUSY, CLOOPW_R_CLAIMED));
    refuses({device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: /dev/sdb2: cannot be claimed as image: it is "
            "mounted, or in use by another device or program; 'lsblk' and 'findmnt' tell by "
            "which; unmount or detach that first");
}

TEST_F(Cloopwsetup, ModuleOfAnotherVersion) {
    kernel_->ioctl_errors[CLOOPW_CONFIGURE] = -ENOTTY;
    refuses({device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: Inappropriate ioctl for device; this "
            "program and the module are of different versions");
}

TEST_F(Cloopwsetup, VersionOfTheModule) {
    runs({"-V"});
    const std::string tool = out_;
    EXPECT_EQ(std::count(tool.begin(), tool.end(), '\n'), 1);
    runs({"-vV"});
    EXPECT_EQ(
        out_,
        tool +
            "module: 0.1-test\n"
            "image formats: cloopw, raw\n"
            "COW formats: log, uml\n"
            "codecs: " +
            codecs_of_both_worlds(", ") +
            "\n"
            "COW codecs: none, zlib, lz4, lz4hc, zstd\n"
            "COW layers: 64\n"
            "features: snapshots, resize, direct I/O, records, claims, loop's ioctls, growth, "
            "reset\n");
    kernel_->ioctl_errors[CLOOPW_CTL_QUERY] = -ENOTTY;
    runs({"--version", "--verbose"});
    EXPECT_EQ(out_, tool + "module: Inappropriate ioctl for device; it is of another version\n");
    kernel_->open_errors[kernel_->dev() + "/cloopw-control"] = -EACCES;
    runs({"-v", "-V"});
    EXPECT_EQ(out_, tool + "module: Permission denied; run this as root\n");
    kernel_->open_errors[kernel_->dev() + "/cloopw-control"] = -ENOENT;
    runs({"-v", "-V"});
    EXPECT_EQ(out_, tool + "module: not loaded\n");
    EXPECT_TRUE(kernel_->ran.empty());
}

TEST_F(Cloopwsetup, CodecsThatTheModuleHasNot) {
    kernel_->cow_codecs = "none lz4";
    refuses({"-c", path("cow"), "--cow-codec", "zstd", device(0), image()},
            "--cow-codec zstd: module cloopw 0.1-test cannot write that, it has none, lz4; choose "
            "another, or install the module of this program's version");
    EXPECT_FALSE(fs::exists(path("cow")));
    runs({"-c", path("cow"), device(0), image()});
    refuses({"--snapshot", path("b"), "--cow-codec", "zstd", device(0)},
            "--cow-codec zstd: module cloopw 0.1-test cannot write that, it has none, lz4; choose "
            "another, or install the module of this program's version");
    kernel_->codecs = "none lz4";
    const std::string packed =
        write("packed", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("zstd")));
    refuses({device(1), packed},
            "DIR/packed: module cloopw 0.1-test cannot read codec zstd, it has none, lz4; install "
            "the module of this program's version");
    kernel_->ioctl_errors[CLOOPW_CTL_QUERY] = -ENOTTY;
    runs({device(1), packed});
}

TEST_F(Cloopwsetup, CodecsOfUserspaceAlone) {
    unsigned int refused = 0;
    for (unsigned int i = 0; i < cw_codecs_count; i++) {
        const cw_codec &codec = *cw_codecs[i];
        if (codec.world == CW_CODEC_USERSPACE) {
            const std::string name = codec.name;
            const std::string packed =
                write(name, native_image(text_bytes(kImageSize), 65536, codec));
            refuses({device(0), packed}, "DIR/" + name + ": has blocks of codec " + name +
                                             ", which only userspace reads; 'cloopwsetup "
                                             "--userspace' attaches it");
            refused++;
        }
    }
    EXPECT_NE(refused, 0u);
}

TEST_F(Cloopwsetup, ConfigureIsForRoot) {
    kernel_->ioctl_errors[CLOOPW_CONFIGURE] = -EPERM;
    refuses({device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: Operation not permitted; run this as root");
}

}  // namespace
}  // namespace cloopw::test
