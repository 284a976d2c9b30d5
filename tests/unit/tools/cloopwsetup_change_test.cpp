// SPDX-License-Identifier: GPL-2.0
/* cloopwsetup of a device that is attached. */

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <regex>

#include "lib/cow/chain.h"
#include "lib/cow/reset.h"
#include "lib/fd.h"
#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

class CloopwsetupChange : public Cloopwsetup {
protected:
    void write_stat(const std::string &counters) const {
        kernel_->write_file("/sys/block/cloopw0/stat", counters + "\n");
    }
};

/* ---- resize ---- */

TEST_F(CloopwsetupChange, ResizeTakesOverTheSizeOfARawImage) {
    runs({device(0), image()});
    fs::resize_file(image(), 3 * kImageSize);
    runs({"-v", "--resize", device(0)});
    EXPECT_EQ(placeholders(err_), "cloopwsetup: DEV/cloopw0: has 3145728 bytes now\n");
    EXPECT_EQ(kernel_->attribute(0, "size"), "3145728");
    fs::resize_file(image(), kImageSize);
    runs({"--resize", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "size"), "1048576");
}

/* ---- the record of first reads ---- */

TEST_F(CloopwsetupChange, RecordsFirstReadsInTheirOrder) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({"--recording", device(0), path("x.cloopw")});
    std::array<u8, 512> buf = {};
    for (const u64 block : {7, 3, 7, 0, 11, 3, 15, 1}) {
        attached(0).engine->read(buf.data(), buf.size(), block * 65536 + 1024);
    }
    runs({"--record", path("order"), device(0)});
    const std::string list = std::regex_replace(read("order"), std::regex("[0-9]+ ms"), "MS");
    EXPECT_EQ(list,
              "# blocks of 65536 bytes, in the order of their first read\n"
              "7\t# MS\n3\t# MS\n0\t# MS\n11\t# MS\n15\t# MS\n1\t# MS\n");
}

TEST_F(CloopwsetupChange, NothingIsRecordedUnasked) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({device(0), path("x.cloopw")});
    const std::string nothing =
        "nothing is recorded of it; attach it with --recording, and a compressed image";
    refuses({"--record", path("order"), device(0)}, "DEV/cloopw0: " + nothing);
    EXPECT_FALSE(fs::exists(path("order")));
    runs({"--recording", device(1), image()});
    refuses({"--record", path("order"), device(1)}, "DEV/cloopw1: " + nothing);
}

TEST_F(CloopwsetupChange, RecordWantsTheModuleOfThisVersion) {
    runs({device(0), image()});
    kernel_->ioctl_errors[CLOOPW_GET_READS] = -ENOTTY;
    refuses({"--record", path("order"), device(0)},
            "DEV/cloopw0: its record cannot be read: Inappropriate ioctl for device; this program "
            "and the module are of different versions");
    kernel_->ioctl_errors[CLOOPW_GET_READS] = -EPERM;
    refuses({"--record", path("order"), device(0)},
            "DEV/cloopw0: its record cannot be read: Operation not permitted; run this as root");
}

/* ---- resize ---- */

TEST_F(CloopwsetupChange, ResizeRefusesAnEmptyFile) {
    runs({device(0), image()});
    fs::resize_file(image(), 0);
    refuses({"--resize", device(0)}, "DIR/disk.img: is empty");
    EXPECT_EQ(kernel_->attribute(0, "size"), "1048576");
}

TEST_F(CloopwsetupChange, ResizeRefusesACompressedImage) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({device(0), path("x.cloopw")});
    refuses({"--resize", device(0)},
            "DIR/x.cloopw: a cloopw image has the size it was made with; only a raw image that is "
            "longer or shorter by now can be resized; 'mkcloopw -x' and mkcloopw make another of "
            "this one");
}

TEST_F(CloopwsetupChange, ResizeRefusesACow) {
    runs({"-c", path("cow"), device(0), image()});
    fs::resize_file(image(), 2 * kImageSize);
    refuses({"--resize", device(0)},
            "DIR/cow: was made for a device of 1048576 bytes, and takes no other size from the "
            "image; '--resize=SIZE' makes the device of a COW log longer");
}

/* ---- growth ---- */

TEST_F(CloopwsetupChange, GrowsAndTheCowRemembers) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-v", "--resize=4M", device(0)});
    EXPECT_EQ(placeholders(err_), "cloopwsetup: DEV/cloopw0: has 4194304 bytes now\n");
    runs({"--resize", "8M", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "size"), "8388608");
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(identify_cow(path("cow")).size, 8U << 20);
    EXPECT_EQ(identify_cow(path("cow")).below_size, kImageSize);
}

TEST_F(CloopwsetupChange, GrowsBeforeItIsAttached) {
    runs({"--resize=4M", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(identify_cow(path("cow")).size, 4U << 20);
    runs({"-d", device(0)});
    runs({"--resize=6M", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(identify_cow(path("cow")).size, 6U << 20);
    runs({"-d", device(0)});
    runs({"-c", path("new"), "-c", path("cow"), device(0), image()});
    EXPECT_EQ(identify_cow(path("new")).size, 6U << 20);
    EXPECT_EQ(identify_cow(path("new")).below_size, 6U << 20);
}

/* The layer below is frozen by a snapshot, which gives the disk the size of the new one. */
TEST_F(CloopwsetupChange, ANewTopOverAWritableLayerGrows) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"--driver", "--resize=4M", "-c", path("new"), "-c", path("cow"), device(0), image()});
    EXPECT_EQ(attached(0).engine->size(), 4U << 20);
    EXPECT_EQ(kernel_->attribute(0, "size"), "4194304");
    EXPECT_EQ(identify_cow(path("new")).size, 4U << 20);
    EXPECT_EQ(identify_cow(path("cow")).size, kImageSize);
    EXPECT_TRUE(identify_cow(path("cow")).frozen);
}

TEST_F(CloopwsetupChange, OtherSizesAreRefused) {
    runs({"-c", path("cow"), device(0), image()});
    refuses({"--resize=4k", device(0)},
            "DIR/cow: the device has 1048576 bytes and cannot shrink to 4096; make the file system "
            "smaller, and an image of that with mkcloopw");
    refuses({"--resize=2000000", device(0)}, "DIR/cow: 2000000 bytes are not a multiple of 4096");
    refuses({"--resize=33T", device(0)},
            "DIR/cow: a COW file of format log covers up to 35184372088832 bytes, not "
            "36283883716608");
    runs({"-r", device(1), image()});
    refuses({"--resize=4M", device(1)},
            "DEV/cloopw1: not resized: the device is read-only, so nothing can keep another size; "
            "attach the image with -c and without -r");
    runs({"-c", path("uml"), "--cow-format", "uml", device(2), image()});
    refuses({"--resize=4M", device(2)},
            "DIR/uml: a COW file of format uml cannot grow; 'cloopwsetup -c NEW -c THIS DEVICE "
            "IMAGE' puts a log over it, which can");
}

TEST_F(CloopwsetupChange, ANewCowIsRefusedASizeThatCannotBe) {
    refuses({"--resize=4k", "-c", path("cow"), device(0), image()},
            "DIR/cow: the device has 1048576 bytes and cannot shrink to 4096");
    refuses({"--resize=2000000", "-c", path("cow"), device(0), image()},
            "DIR/cow: 2000000 bytes are not a multiple of 4096");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(CloopwsetupChange, ResizeWantsTheModuleOfThisVersion) {
    runs({device(0), image()});
    kernel_->ioctl_errors[CLOOPW_RESIZE] = -ENOTTY;
    refuses({"--resize", device(0)},
            "DEV/cloopw0: not resized: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    kernel_->ioctl_errors[CLOOPW_RESIZE] = -EPERM;
    refuses({"--resize", device(0)},
            "DEV/cloopw0: not resized: Operation not permitted; run this as root");
}

/* ---- reset ---- */

class CloopwsetupReset : public CloopwsetupChange {
protected:
    void attach_and_write(const std::string &cow) {
        runs({"-c", cow, device(0), image()});
        attached(0).engine->write(changed_.data(), kImageSize, 0);
        attached(0).engine->flush();
    }
    Bytes shown(int number) {
        Bytes bytes(kImageSize);
        attached(number).engine->read(bytes.data(), kImageSize, 0);
        return bytes;
    }

    const Bytes changed_ = random_bytes(kImageSize, 5);
    const Bytes original_ = text_bytes(kImageSize);
};

TEST_F(CloopwsetupReset, ThrowsTheChangesAwayInPlace) {
    attach_and_write(path("cow"));
    runs({"-v", "--reset", device(0)});
    EXPECT_EQ(placeholders(err_),
              "cloopwsetup: DEV/cloopw0: shows what its COW lies over, without changes\n");
    EXPECT_EQ(shown(0), original_);
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(shown(0), original_);
}

TEST_F(CloopwsetupReset, OthersAreRefusedWithTheReason) {
    runs({device(0), image()});
    const std::string read_only =
        "DEV/cloopw0: not reset: the device is read-only, so it has no changes to throw away; "
        "attach the image with -c and without -r";
    refuses({"--reset", device(0)}, read_only);
    runs({"-d", device(0)});
    runs({"-c", path("uml"), "--cow-format", "uml", device(0), image()});
    refuses({"--reset", device(0)},
            "DIR/uml: a COW file of format uml cannot be reset; detach it and remove the file; a "
            "new one is made at the next attach");
    refuses({"--reset", device(1)}, "DEV/cloopw1: has no image");
    refuses({"--reset"}, "--reset: which DEVICE?", 2);
    refuses({"--reset", "-d", device(0)},
            "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, "
            "and -l "
            "or -j at a time",
            2);
    refuses({"--reset", "-c", path("x"), device(0)},
            "-c,--cow has no meaning when resetting a device", 2);
}

TEST_F(CloopwsetupReset, AMountedDeviceStaysAsItIs) {
    attach_and_write(path("cow"));
    kernel_->claimed = true;
    kernel_->write_file("/proc/self/mountinfo",
                        "36 35 251:0 / /mnt rw - ext4 " + device(0) + " rw\n");
    refuses({"--reset", device(0)},
            "DEV/cloopw0: not reset: is in use: DEV/cloopw0 is mounted on /mnt; first 'umount "
            "/mnt'");
    EXPECT_EQ(shown(0), changed_);
}

TEST_F(CloopwsetupReset, WantsRootAndTheModuleOfThisVersion) {
    attach_and_write(path("cow"));
    kernel_->ioctl_errors[CLOOPW_RESET] = -ENOTTY;
    refuses({"--reset", device(0)},
            "DEV/cloopw0: not reset: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    kernel_->open_errors[device(0)] = -EACCES;
    refuses({"--reset", device(0)},
            "DEV/cloopw0: cannot open: Permission denied; run this as root");
}

TEST_F(CloopwsetupReset, ADetachCanDiscardTheChanges) {
    attach_and_write(path("cow"));
    runs({"-v", "-d", "--discard-changes", device(0)});
    EXPECT_EQ(placeholders(err_),
              "cloopwsetup: DEV/cloopw0: detached\n"
              "cloopwsetup: DIR/cow: holds no changes any more\n");
    EXPECT_EQ(fs::file_size(path("cow")), u64{64} << 10);
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(shown(0), original_);
    attached(0).engine->write(changed_.data(), kImageSize, 0);
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(shown(0), changed_);
}

TEST_F(CloopwsetupReset, DiscardingStartsFromTheSnapshot) {
    attach_and_write(path("cow"));
    runs({"--snapshot", path("new"), device(0)});
    attached(0).engine->write(original_.data(), kImageSize, 0);
    runs({"-d", "--discard-changes", device(0)});
    runs({"-c", path("new"), device(0), image()});
    EXPECT_EQ(shown(0), changed_);
}

/* A full COW is a reason to throw its content away. */
TEST_F(CloopwsetupReset, WhatCannotBeStoredIsDiscardedToo) {
    attach_and_write(path("cow"));
    kernel_->clear_error = -ENOSPC;
    kernel_->clear_detaches = true;
    runs({"-d", "--discard-changes", device(0)});
    kernel_->clear_error = 0;
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(shown(0), original_);
}

TEST_F(CloopwsetupReset, NothingHappensWhereThereIsNothingToDiscard) {
    runs({device(0), image()});
    const std::string nothing = ": nothing is written to it, so it has no changes to throw away";
    refuses({"-d", "--discard-changes", device(0)}, "DEV/cloopw0" + nothing);
    runs({"-c", path("uml"), "--cow-format", "uml", device(1), image()});
    refuses({"-d", "--discard-changes", device(1)},
            "DIR/uml: a COW file of format uml cannot be reset; detach it and remove the file; a "
            "new one is made at the next attach");
    EXPECT_TRUE(kernel_->disks[0] && kernel_->disks[1]);
    refuses({"-D", "--discard-changes"}, "--discard-changes has no meaning when detaching all", 2);
    refuses({"--discard-changes", device(0)}, "--discard-changes has no meaning when listing", 2);
}

TEST_F(CloopwsetupReset, ChangesInMemoryGoWithTheDevice) {
    runs({"--ram", device(0), image()});
    runs({"-d", "--discard-changes", device(0)});
    EXPECT_FALSE(kernel_->disks[0]);
}

TEST_F(CloopwsetupReset, AFileThatOthersHaveKeepsItsChanges) {
    attach_and_write(path("cow"));
    kernel_->on_pause = nullptr;
    const Fd other(open(path("cow").c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    kernel_->clear_error = 0;
    const AttachedCow cow(path("cow"));
    runs({"-d", device(0)});
    ASSERT_EQ(fcntl(other.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_THROW(cow.reset(), Error);
}

/* The driver has the file, and the name leads elsewhere or nowhere. */
TEST_F(CloopwsetupReset, AnotherFileOfTheNameIsNotReset) {
    attach_and_write(path("other"));
    runs({"-d", device(0)});
    attach_and_write(path("cow"));
    fs::rename(path("cow"), path("old"));
    refuses({"-d", "--discard-changes", device(0)},
            "DIR/cow: cannot open for writing: No such file or directory; the file was moved or "
            "removed, or is out of sight here; detach it without --discard-changes");
    fs::rename(path("other"), path("cow"));
    const std::string before = read("cow");
    refuses({"-d", "--discard-changes", device(0)},
            "DIR/cow: is not the file that is attached, or its file system has no locks; detach "
            "it without --discard-changes, and remove the right file");
    EXPECT_EQ(read("cow"), before);
    EXPECT_EQ(shown(0), changed_);
}

/* Another device has that one locked. */
TEST_F(CloopwsetupReset, TheFileOfAnotherDeviceIsNotReset) {
    attach_and_write(path("cow"));
    fs::rename(path("cow"), path("old"));
    runs({"-c", path("cow"), device(1), image()});
    attached(1).engine->write(changed_.data(), kImageSize, 0);
    EXPECT_EQ(run({"-d", "--discard-changes", device(0)}), 1);
    EXPECT_TRUE(contains(err_, "detached, but its changes are still there: ")) << err_;
    EXPECT_EQ(shown(1), changed_);
}

TEST_F(CloopwsetupReset, ANameWithANewlineIsFound) {
    attach_and_write(path("a\nb"));
    const std::string shown_as = path("a\\012b");
    kernel_->set_attribute(0, "layers/0/path", shown_as);
    runs({"-d", "--discard-changes", device(0)});
    runs({"-c", path("a\nb"), device(0), image()});
    EXPECT_EQ(shown(0), original_);
}

/* A loop device or a virtual machine has no claim. */
TEST_F(CloopwsetupReset, ADeviceThatOthersHaveOpenIsResetByForceAlone) {
    attach_and_write(path("cow"));
    kernel_->write_file("/proc/123/comm", "qemu\n");
    kernel_->link("/proc/123/fd/4", device(0));
    kernel_->write_file("/proc/" + std::to_string(getpid()) + "/comm", "cloopwsetup\n");
    kernel_->link("/proc/" + std::to_string(getpid()) + "/fd/3", device(0));
    refuses({"--reset", device(0)},
            "DEV/cloopw0: not reset: is in use: process 123 (qemu) has DEV/cloopw0 open; first "
            "'end process 123'; --force goes on, and what these have cached is not told");
    EXPECT_EQ(shown(0), changed_);
    runs({"--reset", "--force", device(0)});
    EXPECT_EQ(shown(0), original_);
}

TEST_F(CloopwsetupReset, WhoLooksForAMomentIsWaitedFor) {
    attach_and_write(path("cow"));
    kernel_->link("/proc/123/fd/4", device(0));
    kernel_->on_pause = [&] { fs::remove(kernel_->proc() + "/123/fd/4"); };
    runs({"--reset", device(0)});
    EXPECT_EQ(shown(0), original_);
}

/* ---- flush ---- */

TEST_F(CloopwsetupChange, FlushesFileSystemsThenTheDriver) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-v", "--flush", device(0)});
    EXPECT_EQ(kernel_->flushed, (std::vector<std::string>{"buffers 0", "driver 0"}));
    EXPECT_EQ(placeholders(err_),
              "cloopwsetup: DEV/cloopw0: all that was written to it is stored\n");
}

TEST_F(CloopwsetupChange, FlushThatFails) {
    runs({"-c", path("cow"), device(0), image()});
    kernel_->ioctl_errors[CLOOPW_FLUSH] = -EIO;
    refuses({"--flush", device(0)},
            "DEV/cloopw0: not all that was written to it could be stored: Input/output error; "
            "'dmesg | tail' may tell more");
    kernel_->flush_error = -EACCES;
    refuses({"--flush", device(0)},
            "DEV/cloopw0: not all that was written to it could be stored: Permission denied; run "
            "this as root");
    kernel_->flush_error = 0;
    kernel_->ioctl_errors[CLOOPW_FLUSH] = -ENOTTY;
    refuses({"--flush", device(0)},
            "DEV/cloopw0: cannot be flushed: Inappropriate ioctl for device; this program and the "
            "module are of different versions");
}

/* ---- cache, direct I/O ---- */

TEST_F(CloopwsetupChange, SetCacheBoundsIt) {
    runs({device(0), image()});
    kernel_->set_attribute(0, "cache_limit", "1");
    runs({"--set-cache", "3M", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "cache_limit"), "3145728");
    EXPECT_EQ(run({"--set-cache", "much", device(0)}), 2);
    EXPECT_TRUE(contains(err_, "--set-cache")) << err_;
}

TEST_F(CloopwsetupChange, DirectIoAtTheAttach) {
    runs({"-v", "--direct-io", device(0), image()});
    EXPECT_EQ(attached(0).config.flags & CLOOPW_F_DIRECT_IO, CLOOPW_F_DIRECT_IO);
    EXPECT_TRUE(contains(err_, "is read by direct I/O")) << err_;
    runs({"-n", "-O", "DIO", "-l"});
    EXPECT_EQ(out_, "1\n");
    runs({"--direct-io=off", device(1), image()});
    EXPECT_EQ(attached(1).config.flags & CLOOPW_F_DIRECT_IO, 0U);
}

TEST_F(CloopwsetupChange, DirectIoWhereThereIsNone) {
    kernel_->has_direct_io = false;
    runs({"-v", "--direct-io=on", device(0), image()});
    EXPECT_TRUE(contains(placeholders(err_),
                         "DIR/disk.img: its file system has no direct I/O; what was read is "
                         "dropped from the page cache instead"))
        << err_;
    EXPECT_FALSE(json::parse(out_of({"-J", "-l"}))["cloopwdevices"][0]["dio"].get<bool>());
}

TEST_F(CloopwsetupChange, DirectIoOfWhatIsAttached) {
    runs({device(0), image()});
    runs({"--direct-io", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "dio"), "1");
    runs({"--direct-io=off", device(0)});
    EXPECT_EQ(kernel_->attribute(0, "dio"), "0");
}

/* ---- stats ---- */

TEST_F(CloopwsetupChange, StatsAreRatesOfAnInterval) {
    runs({"-c", path("cow"), device(0), image()});
    write_stat("100 0 800 5 10 0 80 5 0 0 0");
    kernel_->set_attribute(0, "cache_misses", "3");
    kernel_->on_pause = [&] {
        write_stat("300 0 16800 5 20 0 1104 5 0 0 0");
        kernel_->set_attribute(0, "cache_hits", "20"); /* 17 before */
        kernel_->set_attribute(0, "cache_misses", "4");
    };
    runs({"--stats=2,1", device(0)});
    EXPECT_EQ(out_,
              "      READ/s      WRITE/s   READS/s  WRITES/s   HIT%   RATIO COW_RATIO  STATE\n"
              "     3.9 MiB    256.0 KiB       100         5   75.0    2.50      1.50  ok\n");
    EXPECT_EQ(kernel_->time, std::chrono::milliseconds(2000));
}

TEST_F(CloopwsetupChange, StatsOfWhatDoesNothing) {
    runs({device(0), image()});
    write_stat("0 0 0 0 0 0 0 0 0 0 0");
    runs({"--stats=0.5,2", "-n", device(0)});
    EXPECT_EQ(out_,
              "         0 B          0 B         0         0      -    2.50         -  ok\n"
              "         0 B          0 B         0         0      -    2.50         -  ok\n");
}

TEST_F(CloopwsetupChange, StatsAsJsonAreALineEach) {
    runs({device(0), image()});
    write_stat("0 0 0 0 0 0 0 0 0 0 0");
    runs({"--stats=1,3", "--json", device(0)});
    std::istringstream lines(out_);
    int count = 0;
    for (std::string line; std::getline(lines, line); count++) {
        const json one = json::parse(line);
        EXPECT_EQ(one["name"], device(0));
        EXPECT_EQ(one["read_bytes_per_second"], 0);
        EXPECT_TRUE(one["cache_hit_percent"].is_null());
        EXPECT_EQ(one["ratio"], 2.5);
        EXPECT_EQ(one["state"], "ok");
    }
    EXPECT_EQ(count, 3);
}

TEST_F(CloopwsetupChange, StatsEndWithTheAttachment) {
    runs({device(0), image()});
    write_stat("0 0 0 0 0 0 0 0 0 0 0");
    kernel_->on_pause = [&] {
        if (kernel_->pauses == 3) {
            kernel_->set_attribute(0, "image", "");
        }
    };
    runs({"-v", "--stats", device(0)});
    EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3);
    EXPECT_EQ(placeholders(err_), "cloopwsetup: DEV/cloopw0: was detached\n");
}

TEST_F(CloopwsetupChange, StatsNeedSysfs) {
    runs({device(0), image()});
    refuses({"--stats", device(0)},
            "DEV/cloopw0: its 'stat' in /sys cannot be read; is sysfs mounted?");
}

/* ---- udev ---- */

TEST_F(CloopwsetupChange, WaitsForUdevWhereItRuns) {
    runs({device(0), image()});
    EXPECT_TRUE(kernel_->ran.empty());
    kernel_->write_file("/run/udev/control", "");
    runs({device(1), image()});
    EXPECT_EQ(
        kernel_->ran,
        (std::vector<std::vector<std::string>>{{"/usr/bin/udevadm", "settle", "--timeout=5"}}));
    kernel_->modprobe_status = 1; /* udevadm's, too */
    runs({"-v", "-f", image()});
    EXPECT_TRUE(contains(err_, "udev is still busy")) << err_;
}

/* ---- the command line ---- */

TEST_F(CloopwsetupChange, WrongUsage) {
    struct Case {
        Args args;
        std::string line;
    };
    const Case kCases[] = {
        {{"--resize"}, "--resize: of which DEVICE, alone?"},
        {{"--resize=0", device(0)}, "--resize=0: a device cannot shrink to nothing"},
        {{"--resize=4M", "-r", "-c", path("cow"), device(0), image()},
         "--resize: with -r nothing is written"},
        {{"--resize=4M", device(0), image()}, "--resize: without -c there is no COW file"},
        {{"--resize=4M", "--cow-format", "uml", "-c", path("cow"), device(0), image()},
         "--resize: not for a COW of format uml"},
        {{"--flush", device(0), image()}, "--flush: of which DEVICE, alone?"},
        {{"--set-cache", "1M", "-d", device(0)}, "--set-cache has no meaning when detaching"},
        {{"--stats"}, "--stats: of which DEVICE?"},
        {{"--stats", "-l", device(0)},
         "only one of -f, -d, -D, --snapshot, --fork, --reset, --stats, --record, --takeover, and "
         "-l or -j "
         "at a "
         "time"},
        {{"--stats=x", device(0)}, "--stats: 'x' is not SECONDS or SECONDS,COUNT"},
        {{"--stats=1,", device(0)}, "--stats: '1,' is not SECONDS or SECONDS,COUNT"},
        {{"--stats=0", device(0)}, "--stats: an interval of 0 s is not within 0.01 to 86400"},
        {{"--stats=nan", device(0)}, "--stats: an interval of nan s is not within 0.01 to 86400"},
        {{"--stats", "--raw", device(0)}, "--raw has no meaning when printing statistics"},
        {{"--direct-io=perhaps", device(0)},
         "--direct-io perhaps: there is no such value; know on, off"},
        {{"--direct-io", "-d", device(0)}, "--direct-io has no meaning when detaching"},
        {{"--flush", "-r", device(0)}, "-r,--read-only has no meaning when changing a device"},
    };
    for (const Case &c : kCases) {
        EXPECT_EQ(run(c.args), 2) << c.line;
        EXPECT_EQ(err_, "cloopwsetup: " + c.line + "\nTry 'cloopwsetup --help'.\n");
    }
}

TEST_F(CloopwsetupChange, WhatIsIdleCannotBeChanged) {
    for (const char *option : {"--resize", "--flush", "--stats", "--direct-io"}) {
        refuses({option, device(0)}, "DEV/cloopw0: has no image");
    }
}

}  // namespace
}  // namespace cloopw::test
