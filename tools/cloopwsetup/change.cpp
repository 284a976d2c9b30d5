// SPDX-License-Identifier: GPL-2.0
#include "change.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "adjust.h"
#include "detach.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/size.h"
#include "tools/cloopwsetup/userspace/userspace.h"

namespace cloopw {

void resize(Driver &driver, const DeviceRef &device, uint64_t size) {
    struct cloopw_reason reason = {};
    reason.size = sizeof(reason);
    struct cloopw_resize request = {};
    request.size = sizeof(request);
    request.flags = size != 0 ? CLOOPW_RESIZE_GROW : 0;
    request.device_size = size;
    request.reason = reinterpret_cast<__u64>(&reason);
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    const int err = node.ioctl(CLOOPW_RESIZE, reinterpret_cast<unsigned long>(&request));
    if (err < 0) {
        std::vector<std::string> files = driver.layers(device, "path");
        files.push_back(driver.attribute(device, "image"));
        throw refused(device.path + ": not resized", files, reason, err);
    }
    driver.say(device.path + ": has " + std::to_string(request.device_size) + " bytes now");
}

namespace {

/* With any driver, which sends its own flush to the server. */
void flush_node(const std::string &path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) {
        throw io_error(path, "cannot open", errno,
                       errno == EACCES || errno == EPERM ? "run this as root" : "");
    }
    if (fsync(fd.get()) != 0) {
        throw io_error(path, "not all that was written to it could be stored", errno,
                       "'dmesg | tail' may tell more");
    }
}

}  // namespace

void flush(Driver &driver, const DeviceRef &device) {
    for (const Part &part : parts_of(driver, device)) {
        /* One that went away meanwhile has nothing to write. */
        Handle node(driver.kernel(), driver.kernel().open(part.path, O_RDONLY | O_NONBLOCK));
        const int err = node.error() != 0 ? 0 : node.ioctl(BLKFLSBUF, 0);
        if (err < 0) {
            throw io_error(part.path, "not all that was written to it could be stored", err,
                           err == -EACCES || err == -EPERM ? "run this as root"
                                                           : "'dmesg | tail' may tell more");
        }
    }
    if (device.userspace) {
        flush_node(device.path);
        driver.say(device.path + ": all that was written to it is stored");
        return;
    }
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    const int err = node.ioctl(CLOOPW_FLUSH, 0);
    if (err == -ENOTTY || err == -EPERM) {
        throw refused(device.path + ": cannot be flushed", {}, {}, err);
    }
    if (err < 0) {
        throw io_error(device.path, "not all that was written to it could be stored", err,
                       "'dmesg | tail' may tell more");
    }
    driver.say(device.path + ": all that was written to it is stored");
}

void set_cache(Driver &driver, const DeviceRef &device, uint64_t bytes) {
    set_attribute(driver, device, "cache_limit", std::to_string(bytes),
                  "--set-cache " + exact_size(bytes));
}

void set_direct_io(Driver &driver, const DeviceRef &device, bool wanted) {
    set_attribute(driver, device, "dio", wanted ? "1" : "0",
                  wanted ? "--direct-io" : "--direct-io=off");
    if (wanted) { /* a server's word for it may be an older one */
        say_direct_io(driver, find_userspace(driver, device.path).value_or(device));
    }
}

void say_direct_io(Driver &driver, const DeviceRef &device) {
    const bool direct = driver.attribute(device, "dio") == "1";
    driver.say(driver.attribute(device, "image") +
               (direct ? ": is read by direct I/O"
                       : ": its file system has no direct I/O; what was read is dropped from the "
                         "page cache instead"));
}

}  // namespace cloopw
