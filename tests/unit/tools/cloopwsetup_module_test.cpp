// SPDX-License-Identifier: GPL-2.0
/* The module: loading it, and what stands in the way. */
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/cloopwsetup_tool.h"

namespace cloopw::test {
namespace {

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
    const std::string build = kernel_->dkms() + "/" CLOOPW_VERSION "/build";
    fs::create_directories(build);
    modprobe_fails(
        "modprobe: FATAL: Module cloopw not found in directory /lib/modules/6.1.0-test\n");
    std::ofstream(build + "/make.log")
        << "DKMS make.log for cloopw-" CLOOPW_VERSION " for kernel 6.1.0-test2 (x86_64)\n";
    EXPECT_EQ(run({"--driver", "-f", image()}), 1);
    EXPECT_NE(err_.find("there is none for kernel 6.1.0-test"), std::string::npos);
    std::ofstream(build + "/make.log")
        << "DKMS make.log for cloopw-" CLOOPW_VERSION " for kernel 6.1.0-test (x86_64)\n";
    refuses({"--driver", "-f", image()},
            "module cloopw: cannot be loaded: Module cloopw not found in directory "
            "/lib/modules/6.1.0-test; DKMS could not build it for kernel 6.1.0-test: "
            "DIR/unloaded/dkms/" CLOOPW_VERSION "/build/make.log tells why");
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

}  // namespace
}  // namespace cloopw::test
