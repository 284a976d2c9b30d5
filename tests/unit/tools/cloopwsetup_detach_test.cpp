// SPDX-License-Identifier: GPL-2.0
/* Detaching, and who keeps a device in use. */
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, DetachesSome) {
    for (int i = 0; i < 3; i++) {
        runs({device(i), image()});
    }
    runs({"-d", device(0), device(2)});
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
    EXPECT_NE(kernel_->disks.at(1), nullptr);
    EXPECT_EQ(kernel_->disks.at(2), nullptr);
}

TEST_F(Cloopwsetup, DetachesAll) {
    runs({device(0), image()});
    runs({device(1), image()});
    runs({"-D"});
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
    EXPECT_EQ(kernel_->disks.at(1), nullptr);
    runs({"--detach-all"});
}

TEST_F(Cloopwsetup, OnlyServersOfUblkAreTakenOver) {
    runs({device(1), image()});
    runs({"--takeover", "all"});
    EXPECT_EQ(out_, "");
    refuses({"--takeover", device(0)}, "DEV/cloopw0: has no image");
    refuses({"--takeover", device(1)},
            "DEV/cloopw1: is not served by ublk; --takeover replaces no other server, nor the "
            "module: detach the device, and attach it again");
    EXPECT_NE(kernel_->disks.at(1), nullptr);
}

TEST_F(Cloopwsetup, DetachGoesOnAfterAFailure) {
    runs({device(1), image()});
    refuses({"-d", device(0), device(1)}, "DEV/cloopw0: cannot detach: has no image");
    EXPECT_EQ(kernel_->disks.at(1), nullptr);
}

TEST_F(Cloopwsetup, DetachWaitsForWhoLooksAtTheDevice) {
    runs({device(0), image()});
    kernel_->busy_clears = 5;
    runs({"-v", "-d", device(0)});
    EXPECT_EQ(kernel_->pauses, 5);
    EXPECT_EQ(placeholders(err_), "cloopwsetup: DEV/cloopw0: detached\n");
}

TEST_F(Cloopwsetup, DetachGivesUpAfterASecond) {
    runs({device(0), image()});
    kernel_->busy_clears = 1000;
    refuses({"-d", device(0)},
            "DEV/cloopw0: cannot detach: is in use, by nothing that can be seen from here; look "
            "for mounts in other mount namespaces (containers), 'lsof DEV/cloopw0' as root");
    EXPECT_EQ(kernel_->pauses, 20);
}

TEST_F(Cloopwsetup, DetachThatLosesData) {
    runs({device(0), image()});
    kernel_->clear_error = -ENOSPC;
    refuses({"-d", device(0)},
            "DEV/cloopw0: detached, but not all that was written to it could be stored: No space "
            "left on device; 'dmesg | tail' may tell more");
}

TEST_F(Cloopwsetup, DetachTellsOfLostDataFirst) {
    runs({device(0), image()});
    kernel_->clear_detaches = false;
    for (const int error : {-ENOSPC, -EIO}) {
        kernel_->clear_error = error;
        refuses({"-d", device(0)},
                "DEV/cloopw0: not detached: not all that was written to it could be stored: " +
                    std::string(strerror(-error)) +
                    "; what is lost must be written again; 'cloopwsetup -d DEV/cloopw0' once more "
                    "detaches it all the same");
    }
}

TEST_F(Cloopwsetup, DetachIsForRoot) {
    runs({device(0), image()});
    kernel_->clear_error = -EPERM;
    kernel_->clear_detaches = false;
    refuses({"-d", device(0)},
            "DEV/cloopw0: cannot detach: Operation not permitted; run this as root");
}

TEST_F(Cloopwsetup, DetachOfWhatIsNoDevice) {
    refuses({"-d", image()},
            "DIR/disk.img: not a cloopw device, but a regular file; 'cloopwsetup -f DIR/disk.img' "
            "attaches an image to a free device");
    refuses({"-d", device(7)},
            "DEV/cloopw7: no such device; 'cloopwsetup' alone lists those in use");
}

/* The users that keep a device, and their names in the message. */
class Busy : public Cloopwsetup {
protected:
    Busy() {
        EXPECT_EQ(run({device(0), image()}), 0) << err_;
        kernel_->add_partition(0, 1);
        kernel_->busy_clears = 1000;
    }
    void held(const std::string &by, const std::string &remedy) {
        refuses({"-d", device(0)},
                "DEV/cloopw0: cannot detach: is in use: " + by + "; first '" + remedy + "'");
    }
};

TEST_F(Busy, Mounted) {
    kernel_->write_file("/proc/self/mountinfo",
                        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
                        "36 22 251:0 / /mnt/a\\040b rw,relatime shared:1 - ext4 /dev/x rw\n");
    held("DEV/cloopw0 is mounted on /mnt/a b", "umount /mnt/a b");
}

TEST_F(Busy, PartitionMounted) {
    kernel_->write_file("/proc/self/mountinfo", "36 22 259:1 / /mnt rw - ext4 /dev/x rw\n");
    held("DEV/cloopw0p1 is mounted on /mnt", "umount /mnt");
}

TEST_F(Busy, MountedByAFileSystemWithNumbersOfItsOwn) {
    kernel_->write_file("/proc/self/mountinfo",
                        "36 22 0:45 / /mnt rw - btrfs " + device(0) + " rw\n");
    held("DEV/cloopw0 is mounted on /mnt", "umount /mnt");
}

TEST_F(Busy, SwapSpace) {
    kernel_->write_file("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n" + kernel_->dev() +
                                           "/cloopw0p1 partition\t1020\t0\t-2\n");
    held("DEV/cloopw0p1 is swap space", "swapoff DEV/cloopw0p1");
}

TEST_F(Busy, DeviceMapper) {
    kernel_->write_file("/sys/block/cloopw0/holders/dm-3/dm/name", "vg-root\n");
    held("device-mapper's vg-root is on DEV/cloopw0", "dmsetup remove vg-root");
}

TEST_F(Busy, Raid) {
    kernel_->write_file("/sys/block/cloopw0/cloopw0p1/holders/md0/md/level", "raid1\n");
    held("device md0 is on DEV/cloopw0p1", "stop md0");
}

TEST_F(Busy, ImageOfAnotherDevice) {
    kernel_->write_file("/sys/block/loop3/loop/backing_file", device(0) + "\n");
    held("DEV/cloopw0 is the file of DEV/loop3", "losetup -d DEV/loop3");
}

TEST_F(Busy, ImageOfAnotherOfOurs) {
    kernel_->set_attribute(1, "image", kernel_->dev() + "/cloopw0p1");
    held("DEV/cloopw0p1 is the image of DEV/cloopw1", "cloopwsetup -d DEV/cloopw1");
}

TEST_F(Busy, Process) {
    kernel_->write_file("/proc/123/comm", "dd\n");
    kernel_->link("/proc/123/fd/4", device(0));
    kernel_->link("/proc/123/fd/5", device(0));
    kernel_->link("/proc/124/fd/0", "/dev/null");
    held("process 123 (dd) has DEV/cloopw0 open", "end process 123");
}

TEST_F(Busy, Several) {
    kernel_->write_file("/proc/self/mountinfo",
                        "36 22 259:1 / /a rw - ext4 /dev/x rw\n"
                        "37 22 251:0 / /b rw - ext4 /dev/x rw\n");
    held("DEV/cloopw0p1 is mounted on /a, DEV/cloopw0 is mounted on /b", "umount /a', 'umount /b");
}

TEST_F(Busy, TooManyToName) {
    std::string mounts;
    for (int i = 0; i < 20; i++) {
        mounts += "36 22 251:0 / /m" + std::to_string(i) + " rw - ext4 /dev/x rw\n";
    }
    kernel_->write_file("/proc/self/mountinfo", mounts);
    EXPECT_EQ(run({"-d", device(0)}), 1);
    EXPECT_TRUE(contains(err_, "mounted on /m7, and more; first")) << err_;
    EXPECT_FALSE(contains(err_, "/m8")) << err_;
}

TEST_F(Busy, MalformedTablesAreNoHolders) {
    kernel_->write_file("/proc/self/mountinfo", "\n36\n1 2 3 4 5\n1 2 3 4 5 -\n");
    kernel_->write_file("/proc/swaps", "\n");
    EXPECT_EQ(run({"-d", device(0)}), 1);
    EXPECT_TRUE(contains(err_, "by nothing that can be seen from here")) << err_;
}

}  // namespace
}  // namespace cloopw::test
