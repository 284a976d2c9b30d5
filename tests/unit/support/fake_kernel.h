/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel for cloopwsetup's tests: a model of the driver, and nodes that need no root. /sys
 * and /proc are files in a directory of the test's. The real engine opens an attached file,
 * so that refusals have the driver's words.
 */
#ifndef CLOOPW_TESTS_FAKE_KERNEL_H
#define CLOOPW_TESTS_FAKE_KERNEL_H

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/cloopw/uapi/cloopw.h"
#include "lib/cloopw.h"
#include "tools/cloopwsetup/kernel.h"

namespace cloopw::test {

/* The driver fills its reason so. */
cloopw_reason reason_of(const Error &refusal);

/* The names of the codecs that the kernel has, too. */
std::string codecs_of_both_worlds(const char *between);

class FakeKernel : public Kernel {
public:
    struct Attached {
        struct cloopw_config config = {};
        std::string image;
        std::vector<std::string> layers;
        std::vector<int> layer_flags; /* open()'s */
        std::string format;           /* the requested one */
        std::unique_ptr<Device> engine;
    };

    /* dir: an empty directory; devices: how many the module makes when loaded */
    explicit FakeKernel(std::string dir, int devices = 2, bool loaded = true);

    /* ---- a test's settings ---- */

    int modprobe_status = 0; /* or -errno */
    std::string modprobe_says;
    bool root = true;
    bool makes_nodes = true;    /* devtmpfs */
    int nodes_after_pauses = 0; /* udev is slow */
    int busy_clears = 0;        /* so many CLEARs get EBUSY */
    int clear_error = 0;        /* -errno of CLEAR */
    bool clear_detaches = true; /* in spite of the error */
    int stolen_devices = 0;     /* so many free devices go to another program */
    int configure_error = 0;    /* -errno */
    struct cloopw_reason configure_reason = {};
    std::string codecs = codecs_of_both_worlds(" "); /* the module's */
    std::string cow_codecs = "none zlib lz4 lz4hc zstd";
    int snapshot_error = 0;    /* -errno */
    int flush_error = 0;       /* -errno */
    bool claimed = false;      /* the disks are mounted: O_EXCL gets EBUSY */
    bool has_direct_io = true; /* the images' file system */
    std::function<void()> on_pause;
    bool size_shows = true;                   /* in the status after an attach */
    std::vector<std::string> full_attributes; /* setting them gets ENOSPC */
    std::map<std::string, int> open_errors;   /* path -> -errno */
    std::map<std::string, dev_t> devices_of;  /* beginning of a path -> st_dev, in place of sda's */
    std::map<unsigned int, int> ioctl_errors; /* request -> -errno */

    /* ---- a test's observations ---- */

    bool loaded = false;
    std::map<int, std::unique_ptr<Attached>> disks; /* null: idle */
    std::vector<std::vector<std::string>> ran;
    int pauses = 0;
    std::chrono::milliseconds time{0}; /* sum of all pauses */
    std::vector<std::string> flushed;  /* "buffers 0", "driver 0" */
    int open_handles = 0;

    /* Another block device with a node, for example "loop0", 7, 0. */
    void add_block(const std::string &name, unsigned int major, unsigned int minor);
    /* A node without a driver behind its numbers. */
    void add_node(const std::string &name, unsigned int major, unsigned int minor);
    void add_partition(int number, int partition);
    /* A file below dir(), with its directories. */
    void write_file(const std::string &path, const std::string &text) const;
    void link(const std::string &path, const std::string &target) const;
    void add_disk(int number);
    void load();
    std::string attribute(int number, const std::string &name) const;
    void set_attribute(int number, const std::string &name, const std::string &text) const;
    std::string node(int number) const { return dev() + "/cloopw" + std::to_string(number); }

    /* ---- Kernel ---- */

    int open(const std::string &path, int flags) override;
    void close(int fd) override;
    int stat(const std::string &path, struct stat *st) override;
    int ioctl(int fd, unsigned int request, unsigned long arg) override;
    int run(const std::vector<std::string> &argv, std::string *said) override;
    void pause(std::chrono::milliseconds time) override;
    bool superuser() override { return root; }
    std::string release() override { return "6.1.0-test"; }
    std::string dev() const { return dir_ + "/dev"; }
    std::string dev() override { return dir_ + "/dev"; }
    std::string sys() override { return dir_ + "/sys"; }
    std::string proc() override { return dir_ + "/proc"; }
    std::string dkms() override { return dir_ + "/dkms"; }
    std::string udev() override { return dir_ + "/run/udev"; }
    std::chrono::milliseconds now() override { return time; }

private:
    struct Node {
        unsigned int major;
        unsigned int minor;
    };

    std::string block_dir(int number) const;
    bool nodes_show() const { return makes_nodes && pauses >= nodes_after_pauses; }
    int control(unsigned int request, int number);
    int query(struct cloopw_query *query) const;
    int configure(int number, struct cloopw_config *config);
    int attach(int number, struct cloopw_config *config, struct cloopw_reason *reason);
    int clear(int number);
    int snapshot(int number, struct cloopw_snapshot *request);
    int resize(int number, struct cloopw_resize *request);
    int reset(int number, struct cloopw_reset *request);
    int reads(int number, struct cloopw_reads *request);
    int flush(int number, unsigned int request);
    void show_attributes(int number, const Attached &attached);
    void show_layers(int number);
    int status(int number, struct cloopw_status *status);

    std::string dir_;
    int devices_;
    std::map<std::string, Node> nodes_; /* by path */
    std::map<int, int> handles_;        /* fd -> disk, -1: control */
    int next_fd_ = 1000;
};

}  // namespace cloopw::test

#endif
