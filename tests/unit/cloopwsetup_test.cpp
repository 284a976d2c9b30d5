// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "lib/cow/cow_file.h"
#include "support/cloopwsetup_tool.h"
#include "tools/cloopwsetup/driver.h"

namespace cloopw::test {
namespace {

/* ---- attach ---- */

TEST_F(Cloopwsetup, AttachesARawImageReadOnly) {
    runs({device(0), image()});
    EXPECT_EQ(attached(0).image, image());
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY);
    EXPECT_EQ(out_ + err_, "");
}

TEST_F(Cloopwsetup, AttachesWithANewCow) {
    runs({"-c", path("cow"), device(1), image()});
    EXPECT_EQ(attached(1).layers, std::vector<std::string>{path("cow")});
    EXPECT_EQ(attached(1).layer_flags, std::vector<int>{O_RDWR});
    EXPECT_EQ(attached(1).config.flags, 0U);
    EXPECT_TRUE(attached(1).engine->info().writable);
}

TEST_F(Cloopwsetup, NewCowIsForTheDecompressedSize) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), path("x.cloopw")});
    struct cw_disk_uml3 head = {};
    memcpy(&head, read("cow").data(), sizeof(head));
    EXPECT_EQ(cw_from_be64(head.size), kImageSize);
    EXPECT_STREQ(head.base, path("x.cloopw").c_str());
    struct stat st = {};
    stat(path("x.cloopw").c_str(), &st);
    EXPECT_EQ(cw_from_be32(head.mtime), static_cast<u32>(st.st_mtime));
}

TEST_F(Cloopwsetup, NewCowIsForTheWindowOfTheImage) {
    runs({"--cow-format", "uml", "-c", path("cow"), "-o", "4096", "--sizelimit", "8K", device(0),
          image()});
    struct cw_disk_uml3 head = {};
    memcpy(&head, read("cow").data(), sizeof(head));
    EXPECT_EQ(cw_from_be64(head.size), 8192U);
    EXPECT_EQ(attached(0).config.offset, 4096U);
    EXPECT_EQ(attached(0).config.sizelimit, 8192U);
    EXPECT_EQ(attached(0).engine->size(), 8192U);
}

TEST_F(Cloopwsetup, NewCowIsRoundedUpToSectors) {
    write("odd.img", text_bytes(1000));
    runs({"-c", path("cow"), device(0), path("odd.img")});
    EXPECT_EQ(attached(0).engine->size(), 1024U);
}

TEST_F(Cloopwsetup, NewCowIsOfTheDefaultFormat) {
    runs({"-c", path("cow"), device(0), image()});
    EXPECT_EQ(kernel_->attribute(0, "layers/0/format"), "log");
}

TEST_F(Cloopwsetup, NewCowLogKeepsWhatIsWritten) {
    write("odd.img", text_bytes(100001));
    runs({"-c", path("cow"), device(0), path("odd.img")});
    kernel_->disks[0]->engine->write(Bytes(4096, 'w').data(), 4096, 8192);
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(1), path("odd.img")});
    Bytes got(4096);
    attached(1).engine->read(got.data(), 4096, 8192);
    EXPECT_EQ(got, Bytes(4096, 'w'));
}

TEST_F(Cloopwsetup, CowLogKnowsItsImage) {
    for (unsigned int seed : {1U, 2U}) {
        write("x" + std::to_string(seed) + ".cloopw",
              native_image(text_bytes(kImageSize, seed), 65536, *cw_codec_by_name("lz4")));
        change_uuid("x" + std::to_string(seed) + ".cloopw", static_cast<u8>(seed));
    }
    runs({"--cow-format", "log", "-c", path("cow"), device(0), path("x1.cloopw")});
    runs({"-d", device(0)});
    EXPECT_EQ(run({"-c", path("cow"), device(0), path("x2.cloopw")}), 1);
    EXPECT_TRUE(std::regex_search(placeholders(err_),
                                  std::regex("cloopwsetup: DIR/cow: was made for .*x1.cloopw.*"
                                             "DIR/x2.cloopw.*; give the image it was made for")))
        << err_;
    runs({"-c", path("cow"), device(0), path("x1.cloopw")});
}

TEST_F(Cloopwsetup, NewCowIsForItsOwnerOnly) {
    runs({"-c", path("cow"), device(0), image()});
    struct stat st = {};
    stat(path("cow").c_str(), &st);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_F(Cloopwsetup, CowSurvivesDetachAndReattach) {
    runs({"-c", path("cow"), device(0), image()});
    std::string text = "written";
    kernel_->disks[0]->engine->write(Bytes(512, 'w').data(), 512, 512);
    kernel_->disks[0]->engine->flush();
    runs({"-d", device(0)});
    runs({"-c", path("cow"), device(1), image()});
    Bytes got(512);
    attached(1).engine->read(got.data(), 512, 512);
    EXPECT_EQ(got, Bytes(512, 'w'));
}

TEST_F(Cloopwsetup, OptionsMayFollow) {
    runs({device(0), image(), "-c", path("cow"), "--cow-format", "uml"});
    EXPECT_EQ(attached(0).layers.size(), 1U);
}

TEST_F(Cloopwsetup, TopLayerIsFirst) {
    runs({"-c", path("lower"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    const std::vector<std::string> layers = {path("top"), path("lower")};
    EXPECT_EQ(attached(0).layers, layers);
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(attached(0).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

/* ---- layers ---- */

TEST_F(Cloopwsetup, ASnapshotPutsANewFileOnTop) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    const std::vector<std::string> layers = {path("b"), path("a")};
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(json_of({"-lJ", "-O", "cow,cow_format"}).at("cloopwdevices").at(0).at("cow_format"),
              json({"log", "log"}));
    runs({"-d", device(0)});
    runs({"-c", path("b"), device(0), image()});
    EXPECT_EQ(attached(0).layers, layers);
    EXPECT_EQ(attached(0).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

TEST_F(Cloopwsetup, AFrozenLayerIsReadOrGetsANewTop) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    runs({"-d", device(0)});
    refuses({"-c", path("a"), device(0), image()},
            "DIR/a: is frozen: layers may lie over it, and it must not change; attach the layer "
            "over it, put a new one over it with '-c NEW -c THIS', or look at it with -r");
    runs({"-r", "-c", path("a"), device(0), image()});
    runs({"-c", path("c"), "-c", path("a"), device(1), image()});
    EXPECT_EQ(attached(1).layer_flags, (std::vector<int>{O_RDWR, O_RDONLY}));
}

TEST_F(Cloopwsetup, ALayerCanLieOverAUmlFile) {
    runs({"--cow-format", "uml", "-c", path("a"), device(0), image()});
    refuses({"--snapshot", path("b"), device(0)},
            "DIR/a: a COW file of format uml cannot be frozen; detach it, then 'cloopwsetup -c NEW "
            "-c THIS DEVICE IMAGE' puts a layer over it");
    EXPECT_FALSE(fs::exists(path("b")));
    runs({"-d", device(0)});
    runs({"-c", path("b"), "-c", path("a"), device(0), image()});
    EXPECT_EQ(attached(0).layers, (std::vector<std::string>{path("b"), path("a")}));
}

TEST_F(Cloopwsetup, ASnapshotThatFailsLeavesNoFile) {
    runs({"-c", path("a"), device(0), image()});
    kernel_->snapshot_error = -EIO;
    refuses({"--snapshot", path("b"), device(0)}, "DEV/cloopw0: no snapshot: Input/output error");
    kernel_->snapshot_error = -ENOTTY;
    refuses({"--snapshot", path("b"), device(0)},
            "DEV/cloopw0: no snapshot: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    EXPECT_FALSE(fs::exists(path("b")));
    EXPECT_EQ(attached(0).layers, std::vector<std::string>{path("a")});
    runs({"-d", device(0)});
    refuses({"-c", path("b"), "-c", path("a"), device(0), image()},
            "DEV/cloopw0: no snapshot: Inappropriate ioctl for device; this program and the module "
            "are of different versions");
    EXPECT_FALSE(fs::exists(path("b")));
    EXPECT_EQ(kernel_->disks.at(0), nullptr);
}

TEST_F(Cloopwsetup, ASnapshotMakesTheFileItself) {
    runs({"-c", path("a"), device(0), image()});
    refuses({"--snapshot", path("a"), device(0)},
            "DIR/a: is there already; a snapshot makes a new COW file, name another");
    refuses({"--snapshot", path("none/b"), device(0)},
            "DIR/none/b: its directory: No such file or directory; make the directory first");
}

TEST_F(Cloopwsetup, ASnapshotNeedsADeviceThatIsWritten) {
    refuses({"--snapshot", path("b"), device(0)}, "DEV/cloopw0: has no image");
    runs({device(0), image()});
    refuses({"--snapshot", path("b"), device(0)},
            "DEV/cloopw0: has no COW file that could be kept as it is; attach the image with -c");
    runs({"-c", path("a"), device(1), image()});
    runs({"-d", device(1)});
    runs({"-r", "-c", path("a"), device(1), image()});
    refuses({"--snapshot", path("b"), device(1)},
            "DEV/cloopw1: no snapshot: the device is read-only, so it has nothing to be frozen; "
            "attach the image with -c and without -r");
    EXPECT_FALSE(fs::exists(path("b")));
}

TEST_F(Cloopwsetup, AMissingParentIsAnError) {
    runs({"-c", path("a"), device(0), image()});
    runs({"--snapshot", path("b"), device(0)});
    runs({"-d", device(0)});
    fs::rename(path("a"), path("renamed"));
    runs({"-c", path("b"), device(0), image()});
    runs({"-d", device(0)});
    fs::remove(path("renamed"));
    EXPECT_EQ(run({"-c", path("b"), device(0), image()}), 1);
    EXPECT_TRUE(contains(err_, "lies over the COW file a (UUID ")) << err_;
    EXPECT_TRUE(contains(
        err_, "which is not there beside it; if it is elsewhere, name it as the next layer"))
        << err_;
}

TEST_F(Cloopwsetup, ReadOnlyOpensNothingForWriting) {
    runs({"-c", path("cow"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-r", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(attached(0).layer_flags, std::vector<int>{O_RDONLY});
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY);
}

TEST_F(Cloopwsetup, PassesFlagsAndCache) {
    runs({"-P", "--cache", "16M", device(0), image()});
    EXPECT_EQ(attached(0).config.flags, CLOOPW_F_READ_ONLY | CLOOPW_F_PARTSCAN);
    EXPECT_EQ(attached(0).config.cache_bytes, 16U << 20);
}

TEST_F(Cloopwsetup, ForcesTheFormat) {
    write("x.cloopw", native_image(text_bytes(kImageSize), 65536, *cw_codec_by_name("lz4")));
    runs({"--format", "raw", device(0), path("x.cloopw")});
    EXPECT_EQ(attached(0).format, "raw");
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "raw");
}

TEST_F(Cloopwsetup, KnowsCompressedImages) {
    write("x.cloop", cloop2_image(text_bytes(kImageSize), 65536));
    runs({device(0), path("x.cloop")});
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "cloop2");
    EXPECT_EQ(attached(0).engine->size(), kImageSize);
}

TEST_F(Cloopwsetup, VerboseTellsWhatItDoes) {
    runs({"-v", "-c", path("cow"), device(0), image()});
    EXPECT_EQ(placeholders(err_),
              "cloopwsetup: made DIR/cow\n"
              "cloopwsetup: DEV/cloopw0: attached DIR/disk.img, raw, 1048576 bytes\n");
}

TEST_F(Cloopwsetup, TakesARelativePath) {
    fs::path before = fs::current_path();
    fs::current_path(dir_);
    int code = run({"--cow-format", "uml", "-c", "cow", device(0), "disk.img"});
    fs::current_path(before);
    EXPECT_EQ(code, 0) << err_;
    EXPECT_TRUE(contains(read("cow").substr(0, 4128), image()));
}

/* ---- which device ---- */

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

/* ---- the module ---- */

class WithoutModule : public Cloopwsetup {
protected:
    WithoutModule() { kernel_ = std::make_unique<FakeKernel>(dir_ + "/unloaded", 2, false); }
    void modprobe_fails(const std::string &says) {
        kernel_->modprobe_status = 1;
        kernel_->modprobe_says = says;
    }
};

TEST_F(WithoutModule, LoadsItForADevice) {
    runs({device(0), image()});
    EXPECT_EQ(kernel_->ran, (std::vector<std::vector<std::string>>{{"/sbin/modprobe", "cloopw"}}));
    EXPECT_EQ(attached(0).image, image());
}

TEST_F(WithoutModule, LoadsItForAFreeDevice) {
    runs({"-f", "--show", image()});
    EXPECT_EQ(out_, device(0) + "\n");
}

TEST_F(WithoutModule, LoadsItOnlyOnce) {
    runs({device(0), image()});
    runs({device(1), image()});
    EXPECT_EQ(kernel_->ran.size(), 1U);
}

TEST_F(WithoutModule, LoadsItForANodeThatWasThereBefore) {
    kernel_->add_node("cloopw0", 251, 0);
    runs({device(0), image()});
    EXPECT_EQ(attached(0).image, image());
}

TEST_F(WithoutModule, WaitsForTheControlDevice) {
    kernel_->nodes_after_pauses = 5;
    runs({"-f", image()});
    EXPECT_EQ(attached(0).image, image());
}

TEST_F(WithoutModule, ControlDeviceThatNobodyMakes) {
    kernel_->makes_nodes = false;
    refuses({"-f", image()},
            "DEV/cloopw-control: cannot open: No such file or directory; neither devtmpfs nor "
            "udev made it: mknod DEV/cloopw-control c 10 120");
}

TEST_F(WithoutModule, ListIsEmptyAndLoadsNothing) {
    runs({});
    EXPECT_EQ(out_, "");
    runs({"--json"});
    EXPECT_EQ(json::parse(out_), json::parse(R"({"cloopwdevices": []})"));
    EXPECT_TRUE(kernel_->ran.empty());
}

TEST_F(WithoutModule, DetachLoadsNothing) {
    refuses({"-d", device(0)},
            "DEV/cloopw0: no such device; 'cloopwsetup' alone lists those in use");
    runs({"-D"});
    EXPECT_TRUE(kernel_->ran.empty());
}

TEST_F(WithoutModule, SecureBoot) {
    modprobe_fails("modprobe: ERROR: could not insert 'cloopw': Key was rejected by service\n");
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: could not insert 'cloopw': Key was rejected by "
            "service; Secure Boot admits signed modules only: sign it with a key that 'mokutil "
            "--import' enrolled, or turn Secure Boot off");
}

TEST_F(WithoutModule, NoneForThisKernel) {
    modprobe_fails(
        "modprobe: FATAL: Module cloopw not found in directory /lib/modules/6.1.0-test\n");
    refuses({"--driver", "-c", path("cow"), device(0), image()},
            "module cloopw: cannot be loaded: Module cloopw not found in directory "
            "/lib/modules/6.1.0-test; there is none for kernel 6.1.0-test: the package "
            "cloopw-dkms with linux-headers-6.1.0-test, or 'make install' in the source of cloopw, "
            "makes it");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(WithoutModule, BuildOfDkmsFailed) {
    const std::string build = kernel_->dkms() + "/0.1.0/build";
    fs::create_directories(build);
    modprobe_fails(
        "modprobe: FATAL: Module cloopw not found in directory /lib/modules/6.1.0-test\n");
    std::ofstream(build + "/make.log")
        << "DKMS make.log for cloopw-0.1.0 for kernel 6.1.0-test2 (x86_64)\n";
    EXPECT_EQ(run({"--driver", "-f", image()}), 1);
    EXPECT_NE(err_.find("there is none for kernel 6.1.0-test"), std::string::npos);
    std::ofstream(build + "/make.log")
        << "DKMS make.log for cloopw-0.1.0 for kernel 6.1.0-test (x86_64)\n";
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: Module cloopw not found in directory "
            "/lib/modules/6.1.0-test; DKMS could not build it for kernel 6.1.0-test: "
            "DIR/unloaded/dkms/0.1.0/build/make.log tells why");
}

TEST_F(WithoutModule, NotRoot) {
    kernel_->root = false;
    modprobe_fails("modprobe: ERROR: could not insert 'cloopw': Operation not permitted\n");
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: could not insert 'cloopw': Operation not permitted; "
            "only root can load it: run 'modprobe cloopw' or this command as root");
}

TEST_F(WithoutModule, LockedDown) {
    modprobe_fails("modprobe: ERROR: could not insert 'cloopw': Operation not permitted\n");
    int code = run({"--driver", "-f", image()});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "the kernel is locked down or this is a container")) << err_;
}

TEST_F(WithoutModule, BuiltForAnotherKernel) {
    modprobe_fails("modprobe: ERROR: could not insert 'cloopw': Exec format error\n");
    int code = run({"--driver", "-f", image()});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "built for another kernel than 6.1.0-test")) << err_;
}

TEST_F(WithoutModule, UnknownReason) {
    modprobe_fails("");
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: modprobe failed with status 1; 'dmesg | tail' may "
            "tell more");
}

TEST_F(WithoutModule, NoModprobe) {
    kernel_->modprobe_status = -ENOENT;
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: /sbin/modprobe: No such file or directory; install "
            "the package kmod");
}

TEST_F(Cloopwsetup, ControlDeviceIsForRoot) {
    kernel_->open_errors[kernel_->dev() + "/cloopw-control"] = -EACCES;
    refuses({"-f", image()},
            "DEV/cloopw-control: cannot open: Permission denied; run this as root");
    kernel_->open_errors.clear();
    kernel_->ioctl_errors[CLOOPW_CTL_GET_FREE] = -EPERM;
    refuses({"-f", image()},
            "cloopw: cannot find a free device: Operation not permitted; run this as root");
    kernel_->ioctl_errors[CLOOPW_CTL_ADD] = -EPERM;
    refuses({device(12), image()},
            "DEV/cloopw12: cannot add the device: Operation not permitted; run this as root");
}

/* ---- images that are none ---- */

TEST_F(Cloopwsetup, ImageThatIsMissing) {
    refuses({"-c", path("cow"), device(0), path("no.img")},
            "DIR/no.img: cannot open the image: No such file or directory");
    EXPECT_FALSE(fs::exists(path("cow")));
}

TEST_F(Cloopwsetup, ImageThatIsADirectory) {
    refuses({device(0), dir_}, "DIR: is a directory, not an image; name a file or a block device");
}

TEST_F(Cloopwsetup, ImageThatIsEmpty) {
    write("empty", {});
    refuses({device(0), path("empty")}, "DIR/empty: is empty, not an image");
}

TEST_F(Cloopwsetup, ImageThatIsAPipe) {
    ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
    refuses({device(0), path("pipe")}, "DIR/pipe: is neither a file nor a block device");
}

TEST_F(Cloopwsetup, ImageThatIsNoBlockDevice) {
    refuses({device(0), "/dev/null"}, "/dev/null: is neither a file nor a block device");
}

TEST_F(Cloopwsetup, ImageBehindItsEnd) {
    refuses({"-o", "1M", device(0), image()},
            "DIR/disk.img: --offset 1M is behind its end, it has 1M");
}

TEST_F(Cloopwsetup, CompressedByNameOnly) {
    write("x.cloop", text_bytes(4096));
    refuses({device(0), path("x.cloop")},
            "DIR/x.cloop: is named as a compressed image, but has no header of one: it is "
            "damaged, or does not begin there; '--format raw' takes its bytes as they are");
    write("x.CLOOPW", text_bytes(4096));
    int code = run({device(0), path("x.CLOOPW")});
    EXPECT_EQ(code, 1);
    EXPECT_TRUE(contains(err_, "no header of one")) << err_;
    runs({"--format", "raw", device(0), path("x.cloop")});
    EXPECT_EQ(kernel_->attribute(0, "image_format"), "raw");
}

TEST_F(Cloopwsetup, CowInPlaceOfTheImage) {
    runs({"-c", path("cow"), device(0), image()});
    refuses({device(1), path("cow")},
            "DIR/cow: is a COW file, not an image: name it with the image that lies "
            "below it; '--format raw' takes its bytes as they are");
    runs({"--format", "raw", device(1), path("cow")});
    EXPECT_EQ(attached(1).image, path("cow"));
}

TEST_F(Cloopwsetup, TruncatedImage) {
    Bytes whole = native_image(random_bytes(kImageSize), 65536, *cw_codec_by_name("lz4"));
    whole.resize(whole.size() / 2);
    write("cut.cloopw", whole);
    EXPECT_EQ(run({device(0), path("cut.cloopw")}), 1);
    EXPECT_TRUE(std::regex_match(
        placeholders(err_), std::regex("cloopwsetup: DIR/cut.cloopw: .*truncated.*; it was copied "
                                       "or downloaded only in part, get it again\n")))
        << err_;
}

TEST_F(Cloopwsetup, WrongFormatIsRefused) {
    refuses({"--format", "cloop2", device(0), image()}, "DIR/disk.img: is no cloop2 image");
}

/* ---- COW files that are none ---- */

TEST_F(Cloopwsetup, CowOfAnotherBase) {
    write("small.img", text_bytes(kImageSize / 2));
    runs({"--cow-format", "uml", "-c", path("cow"), device(0), path("small.img")});
    runs({"-d", device(0)});
    refuses({"-c", path("cow"), device(0), image()},
            "DIR/cow: was made for DIR/small.img of 524288 bytes, but DIR/disk.img has 1048576; "
            "give the image it was made for, or another -c for a new COW file");
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
    EXPECT_EQ(out_, tool +
                        "module: 0.1-test\n"
                        "image formats: cloopw, raw\n"
                        "COW formats: log, uml\n"
                        "codecs: none, zlib, lz4, lz4hc, zstd, xz, lzo\n"
                        "COW codecs: none, zlib, lz4, lz4hc, zstd\n"
                        "COW layers: 64\n"
                        "features: snapshots, resize, direct I/O, claims, loop's ioctls\n");
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

TEST_F(Cloopwsetup, ConfigureIsForRoot) {
    kernel_->ioctl_errors[CLOOPW_CONFIGURE] = -EPERM;
    refuses({device(0), image()},
            "DEV/cloopw0: cannot attach DIR/disk.img: Operation not permitted; run this as root");
}

/* ---- making a file as a whole ---- */

class WholeFile : public Cloopwsetup, public testing::WithParamInterface<Appear> {};

TEST_P(WholeFile, AppearsWithItsContent) {
    ASSERT_TRUE(create_whole_file(path("new"), GetParam(),
                                  [](int fd) { EXPECT_EQ(::write(fd, "text", 4), 4); }));
    EXPECT_EQ(read("new"), "text");
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel", "new"}));
    struct stat st = {};
    stat(path("new").c_str(), &st);
    EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_P(WholeFile, IsNotThereBefore) {
    bool there = true;
    ASSERT_TRUE(
        create_whole_file(path("new"), GetParam(), [&](int) { there = fs::exists(path("new")); }));
    EXPECT_FALSE(there);
}

TEST_P(WholeFile, LeavesNothingWhenFillingFails) {
    auto fail = [](int) { throw Error("cannot"); };
    EXPECT_THROW(create_whole_file(path("new"), GetParam(), fail), Error);
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel"}));
}

TEST_P(WholeFile, DoesNotReplaceWhatAppearsMeanwhile) {
    auto fill = [&](int) { write("new", text_bytes(10)); };
    EXPECT_THROW(create_whole_file(path("new"), GetParam(), fill), Error);
    EXPECT_EQ(read("new").size(), 10U);
    EXPECT_EQ(files(), (std::vector<std::string>{"disk.img", "kernel", "new"}));
}

TEST_P(WholeFile, SaysWhyItCannot) {
    try {
        create_whole_file("/proc/none/new", GetParam(), [](int) {});
        ADD_FAILURE() << "made a file in /proc";
    } catch (const Error &e) {
        EXPECT_EQ(std::string(e.what()),
                  "/proc/none/new: cannot make the COW file: No such file or directory");
    }
}

INSTANTIATE_TEST_SUITE_P(Appear, WholeFile, testing::Values(Appear::kUnnamed, Appear::kRenamed),
                         [](const auto &how) {
                             return how.param == Appear::kUnnamed ? "Unnamed" : "Renamed";
                         });

TEST_F(Cloopwsetup, FileSystemWithoutUnnamedFiles) {
    /* /proc has none; nor can one be made there in the other way. */
    EXPECT_FALSE(create_whole_file("/proc/new", Appear::kUnnamed, [](int) {}));
}

/* ---- detach ---- */

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

/* ---- list and status ---- */

TEST_F(Cloopwsetup, ListsInATable) {
    runs({"-c", path("cow"), device(1), image()});
    for (const Args &args : {Args{}, Args{"-l"}, Args{"--list"}, Args{"-a"}}) {
        runs(args);
        EXPECT_TRUE(std::regex_match(
            placeholders(out_),
            std::regex("NAME +SIZE +RO +IMAGE +FORMAT +COW +RATIO +COW_LIVE +COW_DEAD +COW_TOTAL "
                       "+COW_RATIO +DIO +STATE *\n"
                       "DEV/cloopw1 +1.0 MiB +0 +DIR/disk.img +raw +DIR/cow +2.50 +1.0 MiB "
                       "+512.0 KiB +2.0 MiB +1.50 +0 +ok *\n")))
            << out_;
    }
}

TEST_F(Cloopwsetup, ListsInTheOrderOfNumbers) {
    for (int i : {10, 9, 0}) {
        runs({device(i), image()});
    }
    runs({"-n", "-O", "name"});
    EXPECT_EQ(out_, device(0) + "\n" + device(9) + "\n" + device(10) + "\n");
}

TEST_F(Cloopwsetup, ListsOnlyThoseAskedFor) {
    runs({device(0), image()});
    runs({device(1), image()});
    runs({"-l", "-n", "-O", "NAME", device(1)});
    EXPECT_EQ(out_, device(1) + "\n");
    refuses({"-l", device(7)},
            "DEV/cloopw7: no such device; 'cloopwsetup' alone lists those in use");
}

TEST_F(Cloopwsetup, ListsNothingSilently) {
    runs({});
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, ListsAsJson) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(1), image()});
    json devices = json_of({"--json", "--output-all"}).at("cloopwdevices");
    ASSERT_EQ(devices.size(), 2U);
    const json &first = devices.at(0);
    EXPECT_EQ(first.at("name"), device(0));
    EXPECT_EQ(first.at("size"), kImageSize);
    EXPECT_TRUE(first.at("size").is_number_unsigned());
    EXPECT_EQ(first.at("ro"), false);
    EXPECT_EQ(first.at("cow"), json::array({path("cow")}));
    EXPECT_EQ(first.at("ratio"), 2.5);
    EXPECT_EQ(first.at("codecs"), json::array({"lz4", "zstd"}));
    EXPECT_EQ(first.at("label"), nullptr);
    EXPECT_EQ(first.at("maj_min"), "251:0");
    EXPECT_EQ(devices.at(1).at("ro"), true);
    EXPECT_EQ(devices.at(1).at("cow"), json::array());
}

TEST_F(Cloopwsetup, JsonHasTheColumnsOfTheTable) {
    runs({device(0), image()});
    json device = json_of({"-J"}).at("cloopwdevices").at(0);
    std::vector<std::string> keys;
    for (const auto &item : device.items()) {
        keys.push_back(item.key());
    }
    std::sort(keys.begin(), keys.end());
    EXPECT_EQ(keys, (std::vector<std::string>{"cow", "cow_dead", "cow_live", "cow_ratio",
                                              "cow_total", "dio", "format", "image", "name",
                                              "ratio", "ro", "size", "state"}));
}

TEST_F(Cloopwsetup, JsonOfMalformedAttributesIsNull) {
    runs({device(0), image()});
    kernel_->set_attribute(0, "size", "many");
    kernel_->set_attribute(0, "ratio", "");
    json device = json_of({"-J"}).at("cloopwdevices").at(0);
    EXPECT_EQ(device.at("size"), nullptr);
    EXPECT_EQ(device.at("ratio"), nullptr);
}

TEST_F(Cloopwsetup, JsonOfANameThatIsNotUtf8) {
    runs({device(0), image()});
    kernel_->set_attribute(0, "image", "/a\xff");
    EXPECT_EQ(json_of({"-J"}).at("cloopwdevices").at(0).at("image"), R"(/a\xff)");
}

TEST_F(Cloopwsetup, ColumnsInAnyOrderAndCase) {
    runs({device(0), image()});
    runs({"-O", "ratio,NAME,cache-hits"});
    EXPECT_TRUE(std::regex_match(placeholders(out_),
                                 std::regex("RATIO +NAME +CACHE_HITS\n *2.50 +DEV/cloopw0 +17\n")))
        << out_;
}

TEST_F(Cloopwsetup, UnknownColumn) {
    EXPECT_EQ(run({"-O", "NAME,COLOUR"}), 2);
    EXPECT_TRUE(contains(err_, "-O: no column 'COLOUR', there are: NAME SIZE RO ")) << err_;
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, RawIsForScripts) {
    write("a b.img", text_bytes(kImageSize));
    runs({device(0), path("a b.img")});
    runs({"--raw", "-O", "NAME,IMAGE,SIZE"});
    EXPECT_EQ(placeholders(out_), "NAME IMAGE SIZE\nDEV/cloopw0 DIR/a\\x20b.img 1048576\n");
    runs({"--raw", "-n", "-O", "RO,LABEL,SIZE"});
    EXPECT_EQ(out_, "1  1048576\n");
    kernel_->set_attribute(0, "image", "/a\\012b\xff");
    runs({"--raw", "-n", "-O", "IMAGE"});
    EXPECT_EQ(out_, "/a\\x0ab\\xff\n") << "the bytes of the name, each once";
}

TEST_F(Cloopwsetup, StatusOfOneDevice) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(0)});
    std::string text = placeholders(out_);
    for (const char *line :
         {"name: DEV/cloopw0\n", "size: 1048576 (1.0 MiB)\n", "ro: 0\n", "image: DIR/disk.img\n",
          "format: raw\n", "cow: DIR/cow\n", "cow_format: log\n", "offset: 0\n", "state: ok\n"}) {
        EXPECT_TRUE(contains(text, line)) << line << "is not in\n" << text;
    }
    EXPECT_FALSE(contains(text, "label")) << "it has none";
}

TEST_F(Cloopwsetup, StatusNamesEachLayer) {
    runs({"-c", path("lower"), device(0), image()});
    runs({"-d", device(0)});
    runs({"-c", path("top"), "-c", path("lower"), device(0), image()});
    runs({device(0)});
    EXPECT_TRUE(contains(placeholders(out_), "cow: DIR/top\ncow: DIR/lower\n")) << out_;
}

TEST_F(Cloopwsetup, StatusAsJsonHasAllKeys) {
    runs({device(0), image()});
    json device = json_of({this->device(0), "--json"}).at("cloopwdevices").at(0);
    EXPECT_EQ(device.at("cache_hits"), 17);
    EXPECT_EQ(device.at("uuid"), nullptr);
}

TEST_F(Cloopwsetup, StatusOfAnIdleDevice) { refuses({device(0)}, "DEV/cloopw0: has no image"); }

TEST_F(Cloopwsetup, AssociatedWithAnImage) {
    write("other.img", text_bytes(kImageSize));
    runs({device(0), path("other.img")});
    runs({device(1), image()});
    runs({"-n", "-O", "NAME", "-j", image()});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedThroughALink) {
    runs({device(1), image()});
    fs::create_symlink("disk.img", path("link"));
    runs({"-n", "-O", "NAME", "-j", path("link")});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithACow) {
    runs({"-c", path("cow"), device(0), image()});
    runs({device(1), image()});
    runs({"-n", "-O", "NAME", "-j", path("cow")});
    EXPECT_EQ(out_, device(0) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithAnImageThatWasRenamed) {
    runs({device(1), image()});
    fs::rename(image(), path("new-name"));
    runs({"-n", "-O", "NAME", "-j", path("new-name")});
    EXPECT_EQ(out_, device(1) + "\n");
}

TEST_F(Cloopwsetup, AssociatedWithAnImageThatIsGone) {
    runs({device(1), image()});
    kernel_->set_attribute(1, "image", image() + " (deleted)");
    fs::remove(image());
    runs({"-n", "-O", "NAME", "-j", image() + " (deleted)"});
    EXPECT_EQ(out_, device(1) + "\n");
    runs({"-j", image()});
    EXPECT_EQ(out_, "");
}

TEST_F(Cloopwsetup, AssociatedAtAnOffset) {
    runs({device(0), image()});
    runs({"-o", "64K", device(1), image()});
    runs({"-n", "-O", "NAME", "-j", image(), "-o", "64K"});
    EXPECT_EQ(out_, device(1) + "\n");
}

/* ---- the command line ---- */

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
        {{"-D", device(0)}, "-D takes no DEVICE; -d does"},
        {{"-f", device(0), image()}, "-f finds the device by itself: give only an IMAGE"},
        {{device(0), image(), image()}, "one DEVICE and one IMAGE at a time"},
        {{"-d", "-l", device(0)},
         "only one of -f, -d, -D, --snapshot, --stats, and -l or -j at a time"},
        {{"-f", "-D"}, "only one of -f, -d, -D, --snapshot, --stats, and -l or -j at a time"},
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
