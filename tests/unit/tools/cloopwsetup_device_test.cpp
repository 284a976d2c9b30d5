// SPDX-License-Identifier: GPL-2.0
/* The device that cloopwsetup takes. */
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

TEST_F(Cloopwsetup, FindTakesAFreeDeviceAndShowsIt) {
    runs({device(0), image()});
    runs({"-f", "--show", image()});
    EXPECT_EQ(out_, device(1) + "\n");
    EXPECT_EQ(attached(1).image, image());
}

TEST_F(Cloopwsetup, FindIsSilentWithoutShow) {
    runs({"-f", image()});
    EXPECT_EQ(out_, "");
    EXPECT_EQ(attached(0).image, image());
}

TEST_F(Cloopwsetup, FindAlonePrintsAFreeDevice) {
    runs({device(0), image()});
    runs({"--find"});
    EXPECT_EQ(out_, device(1) + "\n");
    EXPECT_EQ(kernel_->disks.at(1), nullptr);
}

TEST_F(Cloopwsetup, FindTriesAgainWhenAnotherTookTheDevice) {
    kernel_->stolen_devices = 3;
    runs({"-f", "--show", image()});
    EXPECT_EQ(out_, device(0) + "\n");
}

TEST_F(Cloopwsetup, FindGivesUpAtLast) {
    kernel_->stolen_devices = 1000;
    refuses({"-f", "-c", path("cow"), image()},
            "cloopw: other programs take every free device; try again");
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_F(Cloopwsetup, ShortNameIsEnough) {
    runs({"cloopw1", image()});
    EXPECT_EQ(attached(1).image, image());
}

TEST_F(Cloopwsetup, AddsADeviceThatIsMissing) {
    runs({"-v", device(12), image()});
    EXPECT_EQ(attached(12).image, image());
    EXPECT_TRUE(contains(err_, "added " + device(12)));
}

TEST_F(Cloopwsetup, LinkToADeviceIsTheDevice) {
    kernel_->add_node("disk-by-name", 251, 1);
    runs({kernel_->dev() + "/disk-by-name", image()});
    EXPECT_EQ(attached(1).image, image());
}

TEST_F(Cloopwsetup, WaitsForUdevToMakeTheNode) {
    kernel_->nodes_after_pauses = 7;
    runs({device(12), image()});
    EXPECT_EQ(attached(12).image, image());
}

TEST_F(Cloopwsetup, NodeThatNobodyMakes) {
    kernel_->disks.clear();
    kernel_->makes_nodes = true;
    kernel_->nodes_after_pauses = 0;
    kernel_->add_node("cloopw-control", 10, 120);
    FakeKernel *kernel = kernel_.get();
    /* The control device answers, the new node does not come. */
    kernel->ioctl_errors[CLOOPW_CTL_ADD] = -EEXIST;
    kernel->write_file("/sys/block/cloopw12/dev", "251:12\n");
    refuses({device(12), image()},
            "DEV/cloopw12: the device is there, its node is not: No such file or directory; "
            "neither devtmpfs nor udev made it: mknod DEV/cloopw12 b 251 12");
}

TEST_F(Cloopwsetup, StaleNodeIsNotUsed) {
    kernel_->add_node("cloopw5", 251, 0); /* has the numbers of cloopw0 */
    int code = run({device(5), image()});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "cloopw5: the node is stale")) << err_;
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
}

TEST_F(Cloopwsetup, DeviceNumberThatIsTooLarge) {
    refuses({device(99999999), image()},
            "DEV/cloopw99999999: cannot add the device: Invalid argument");
}

TEST_F(Cloopwsetup, RefusesALoopDevice) {
    kernel_->add_block("loop0", 7, 0);
    refuses({kernel_->dev() + "/loop0", image()},
            "DEV/loop0: not a cloopw device, but the block device loop0; cloopw devices are named "
            "/dev/cloopw0, /dev/cloopw1, ...");
}

TEST_F(Cloopwsetup, RefusesAPartition) {
    kernel_->add_partition(0, 1);
    refuses({kernel_->dev() + "/cloopw0p1", image()},
            "DEV/cloopw0p1: is a partition; the device is DEV/cloopw0");
}

TEST_F(Cloopwsetup, RefusesAFileForADevice) {
    refuses({image(), device(0)},
            "first the DEVICE, then the IMAGE: cloopwsetup DEV/cloopw0 DIR/disk.img", 2);
    refuses({image(), image()},
            "DIR/disk.img: not a cloopw device, but a regular file; 'cloopwsetup -f DIR/disk.img' "
            "attaches an image to a free device");
    refuses({dir_, image()},
            "DIR: not a cloopw device, but a directory; cloopw devices are named /dev/cloopw0, "
            "/dev/cloopw1, ...");
}

TEST_F(Cloopwsetup, RefusesAPathThatCannotBeADevice) {
    refuses({kernel_->dev() + "/other", image()},
            "DEV/other: no such device; cloopw devices are named DEV/cloopw0, DEV/cloopw1, ...");
}

TEST_F(Cloopwsetup, RefusesADeviceInUse) {
    runs({device(0), image()});
    refuses({"-c", path("cow"), device(0), image()},
            "DEV/cloopw0: has an image already: DIR/disk.img; detach it with 'cloopwsetup -d "
            "DEV/cloopw0', or take a free device with -f");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(Cloopwsetup, RefusesADeviceThatIsOpenExclusively) {
    kernel_->configure_error = -EBUSY;
    kernel_->configure_reason =
        reason_of(Error("cloopw0: is in use", EBUSY, CLOOPW_R_DEVICE_IN_USE));
    refuses({device(0), image()},
            "DEV/cloopw0: is in use without an image; 'lsof DEV/cloopw0' tells by whom, -f takes "
            "a free device");
}

TEST_F(Cloopwsetup, DeviceThatMayNotBeOpened) {
    kernel_->open_errors[device(0)] = -EACCES;
    refuses({device(0), image()}, "DEV/cloopw0: cannot open: Permission denied; run this as root");
}

TEST_F(Cloopwsetup, DeviceWithoutASizeIsAnError) {
    kernel_->size_shows = false;
    refuses({"-c", path("cow"), device(0), image()},
            "DEV/cloopw0: was attached, but has no size; 'dmesg | tail' may tell more");
    EXPECT_TRUE(fs::exists(path("cow"))) << "it is in use";
}

}  // namespace
}  // namespace cloopw::test
