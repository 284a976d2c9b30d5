// SPDX-License-Identifier: GPL-2.0
/* The device below a snapshot's layer, at any depth: the device itself is refused. */
#include <sys/sysmacros.h>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

constexpr unsigned int kDriver = 251; /* the fake driver's major number */
constexpr unsigned int kAnonymous = 77;

class CloopwsetupStack : public Cloopwsetup {
protected:
    CloopwsetupStack() {
        fs::create_directory(path("there"));
        fs::create_directory(path("upper dir"));
        runs({"-c", path("a"), device(0), image()});
    }
    /* Files whose path begins so lie on a file system on that block device. */
    void lies_on(const std::string &name, unsigned int major, unsigned int minor) {
        kernel_->devices_of[path(name)] = makedev(major, minor);
    }
    /* On one without a device of its own. */
    void mounted(const std::string &type_source_options) {
        lies_on("there", 0, kAnonymous);
        kernel_->write_file("/proc/self/mountinfo",
                            "1000000 1 8:0 / / rw - ext4 /dev/sda rw\n"
                            "1000001 1 0:" +
                                std::to_string(kAnonymous) + " / /there rw,noatime shared:7 - " +
                                type_source_options + "\n");
    }
    void add_slave(const std::string &disk, const std::string &name, const std::string &id) {
        kernel_->write_file("/sys/block/" + disk + "/slaves/" + name + "/dev", id + "\n");
    }
    std::string driver_id() const { return std::to_string(kDriver) + ":0"; }
    void snapshot_is_refused(const std::string &why) {
        refuses({"--snapshot", path("there/b"), device(0)}, "DIR/there/b: lies on " + why);
        EXPECT_FALSE(fs::exists(path("there/b")));
        EXPECT_EQ(attached(0).layers, std::vector<std::string>{path("a")});
    }
    void is_on_the_device(const std::string &way) {
        const std::string why =
            "DEV/cloopw0 itself" + way + ": each would wait for the other; name a file elsewhere";
        snapshot_is_refused(why);
        refuses({"--snapshot", path("there/b"), "--force", device(0)},
                "DIR/there/b: lies on " + why);
    }
    void is_unknown(const std::string &what) {
        snapshot_is_refused(what +
                            ", which cannot be looked into; if that does not lie on DEV/cloopw0, "
                            "--force goes on");
        runs({"--snapshot", path("there/b"), "--force", device(0)});
    }
    void is_elsewhere() { runs({"--snapshot", path("there/b"), device(0)}); }
};

TEST_F(CloopwsetupStack, AFileSystemOnTheDevice) {
    lies_on("there", kDriver, 0);
    is_on_the_device("");
}

TEST_F(CloopwsetupStack, AFileSystemOnAPartitionOfTheDevice) {
    kernel_->add_partition(0, 1);
    lies_on("there", 259, 1);
    is_on_the_device("");
}

TEST_F(CloopwsetupStack, DmOnDmOnIt) {
    kernel_->add_block("dm-1", 254, 1);
    kernel_->add_block("dm-0", 254, 0);
    add_slave("dm-1", "sda", "8:0");
    add_slave("dm-1", "dm-0", "254:0");
    add_slave("dm-0", "cloopw0", driver_id());
    lies_on("there", 254, 1);
    is_on_the_device(", through dm-1 and dm-0");
}

TEST_F(CloopwsetupStack, DmOnADisk) {
    kernel_->add_block("dm-1", 254, 1);
    add_slave("dm-1", "sda", "8:0");
    lies_on("there", 254, 1);
    is_elsewhere();
}

TEST_F(CloopwsetupStack, ALoopDeviceOfAFileOnIt) {
    kernel_->add_block("loop3", 7, 3);
    kernel_->write_file("/sys/block/loop3/loop/backing_file", path("disk.img") + "\n");
    lies_on("there", 7, 3);
    is_elsewhere();
    lies_on("disk.img", kDriver, 0);
    refuses({"--snapshot", path("there/c"), device(0)},
            "DIR/there/c: lies on DEV/cloopw0 itself, through loop3: each would wait for the "
            "other; name a file elsewhere");
}

TEST_F(CloopwsetupStack, ALoopDeviceOfAFileThatIsGone) {
    kernel_->add_block("loop3", 7, 3);
    kernel_->write_file("/sys/block/loop3/loop/backing_file", "/nowhere/file (deleted)\n");
    lies_on("there", 7, 3);
    is_unknown("loop3, whose file /nowhere/file (deleted) is not there");
}

TEST_F(CloopwsetupStack, AnotherDeviceOfTheDriver) {
    runs({device(1), write("other.img", text_bytes(kImageSize))});
    lies_on("there", kDriver, 1);
    lies_on("other.img", kDriver, 0);
    is_on_the_device(", through cloopw1");
}

TEST_F(CloopwsetupStack, AnOverlayWhoseUpperDirectoryIsOnIt) {
    std::string upper = path("upper dir");
    replace(&upper, " ", "\\040");
    mounted("overlay overlay rw,lowerdir=/,upperdir=" + upper + ",workdir=/w");
    lies_on("upper dir", kDriver, 0);
    is_on_the_device(", through overlayfs");
}

TEST_F(CloopwsetupStack, AnOverlayOnADisk) {
    lies_on("disk.img", kDriver, 0);
    mounted("overlay overlay rw,lowerdir=" + path("disk.img") + ",upperdir=/,workdir=/w");
    is_elsewhere();
}

TEST_F(CloopwsetupStack, AnOverlayThatDoesNotTell) {
    mounted("overlay overlay rw,lowerdir=l,upperdir=u,workdir=w");
    is_unknown("an overlayfs whose directories it does not tell");
}

TEST_F(CloopwsetupStack, ABtrfsWithASecondDevice) {
    mounted("btrfs /dev/sda rw");
    kernel_->write_file("/sys/fs/btrfs/features/raid1c34", "0\n");
    kernel_->write_file("/sys/fs/btrfs/1234/devices/sda/dev", "8:0\n");
    is_elsewhere();
    kernel_->write_file("/sys/fs/btrfs/1234/devices/cloopw0/dev", driver_id() + "\n");
    refuses({"--snapshot", path("there/c"), device(0)},
            "DIR/there/c: lies on DEV/cloopw0 itself: each would wait for the other; name a file "
            "elsewhere");
}

TEST_F(CloopwsetupStack, ABtrfsThatSysfsDoesNotKnow) {
    mounted("btrfs /dev/sdz rw");
    is_unknown("a btrfs on /dev/sdz");
}

TEST_F(CloopwsetupStack, AFileSystemInMemory) {
    mounted("tmpfs tmpfs rw,size=65536k");
    is_elsewhere();
}

TEST_F(CloopwsetupStack, AFileSystemOfTheNetwork) {
    mounted("nfs4 host:/export rw,vers=4.2");
    is_unknown("a file system of type nfs4, host:/export");
}

TEST_F(CloopwsetupStack, AFileSystemThatIsNotMounted) {
    lies_on("there", 0, kAnonymous);
    is_unknown("a file system that is not in /proc/self/mountinfo");
}

TEST_F(CloopwsetupStack, ABlockDeviceOfAServer) {
    kernel_->add_block("nbd0", 43, 0);
    lies_on("there", 43, 0);
    is_unknown("nbd0");
}

TEST_F(CloopwsetupStack, ABlockDeviceThatSysfsDoesNotKnow) {
    lies_on("there", 99, 5);
    is_unknown("block device 99:5");
}

TEST_F(CloopwsetupStack, MemoryThatIsWrittenBackToAFile) {
    kernel_->add_block("zram0", 252, 0);
    kernel_->write_file("/sys/block/zram0/backing_dev", "none\n");
    lies_on("there", 252, 0);
    is_elsewhere();
    kernel_->write_file("/sys/block/zram0/backing_dev", path("disk.img") + "\n");
    lies_on("disk.img", kDriver, 0);
    refuses({"--snapshot", path("there/c"), device(0)},
            "DIR/there/c: lies on DEV/cloopw0 itself, through zram0: each would wait for the "
            "other; name a file elsewhere");
}

/* Nothing can lie on a device that is attached just now. */
TEST_F(CloopwsetupStack, AnAttachDoesNotAsk) {
    mounted("nfs4 host:/export rw");
    runs({"-d", device(0)});
    runs({"-c", path("there/b"), "-c", path("a"), device(0), image()});
}

}  // namespace
}  // namespace cloopw::test
