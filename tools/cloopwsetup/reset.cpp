// SPDX-License-Identifier: GPL-2.0
#include "reset.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include "detach.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "tools/cloopwsetup/userspace/userspace.h"

namespace cloopw {
namespace {

/* udev and blkid look at a device for a moment after every change. */
constexpr std::chrono::milliseconds kStep(50);
constexpr int kSteps = 20;

/*
 * Opened so, the device cannot be mounted meanwhile. udev looks at a device that was open
 * for writing, and finds its other content.
 */
Handle claim(Driver &driver, const DeviceRef &device) {
    Handle node(driver.kernel(), driver.kernel().open(device.path, O_RDWR | O_EXCL | O_NONBLOCK));
    const int err = node.error();
    if (err == -EBUSY) {
        throw in_use(driver, device, "not reset");
    }
    if (err < 0) {
        throw io_error(device.path, "cannot open", err,
                       err == -EACCES || err == -EPERM ? "run this as root" : "");
    }
    return node;
}

/*
 * Loop devices and virtual machines have the device open without a claim. They may write
 * what they have cached of the old content over the new one.
 */
void want_alone(Driver &driver, const DeviceRef &device) {
    for (int i = 0; !holders_of(driver, device).empty(); i++) {
        if (i == kSteps) {
            const Error e = in_use(driver, device, "not reset");
            throw e.with(std::string(e.what()) +
                         "; --force goes on, and what these have cached is not told");
        }
        driver.kernel().pause(kStep);
    }
}

void reset_by_driver(Driver &driver, const DeviceRef &device, Handle &node) {
    struct cloopw_reason reason = {};
    reason.size = sizeof(reason);
    struct cloopw_reset request = {};
    request.size = sizeof(request);
    request.reason = reinterpret_cast<__u64>(&reason);
    const int err = node.ioctl(CLOOPW_RESET, reinterpret_cast<unsigned long>(&request));
    if (err < 0) {
        throw refused(device.path + ": not reset", driver.layers(device, "path"), reason, err);
    }
}

/*
 * The page cache writes to the server first, so that nothing comes later. Data that cannot
 * be written goes with the rest.
 */
void reset_by_server(Driver &driver, const DeviceRef &device) {
    const std::vector<Part> parts = parts_of(driver, device);
    auto empty_caches = [&] {
        for (const Part &part : parts) {
            Handle node(driver.kernel(), driver.kernel().open(part.path, O_RDONLY | O_NONBLOCK));
            if (node.error() == 0) {
                (void)node.ioctl(BLKFLSBUF, 0);
            }
        }
    };
    empty_caches();
    try {
        reset_userspace(driver, device);
    } catch (const Error &) {
        empty_caches(); /* the server may be done all the same */
        throw;
    }
    empty_caches();
}

}  // namespace

void reset(Driver &driver, const DeviceRef &device, bool force) {
    Handle node = claim(driver, device);
    if (!force) {
        want_alone(driver, device);
    }
    if (device.userspace) {
        reset_by_server(driver, device);
    } else {
        reset_by_driver(driver, device, node);
    }
    /* Another partition table may show; a device without partitions refuses. */
    (void)node.ioctl(BLKRRPART, 0);
    driver.say(device.path + ": shows what its COW lies over, without changes");
}

}  // namespace cloopw
