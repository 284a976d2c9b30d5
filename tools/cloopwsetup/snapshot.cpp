// SPDX-License-Identifier: GPL-2.0
#include "snapshot.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "lib/cow/lock.h"
#include "lib/cow/open_top.h"
#include "lib/cow/refusal.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/open_data.h"
#include "module.h"

namespace cloopw {
namespace {

CowBase base_for_snapshot(Driver &driver, const DeviceRef &device) {
    auto status = driver.status(device);
    if (!status) {
        throw Error(device.path + ": cannot be asked for its size; run this as root", EPERM);
    }
    const std::vector<std::string> layers = driver.layers(device, "path");
    return base_of_new_layer(device.path, layers.empty() ? "" : layers.front(),
                             status->device_size);
}

int put_on_top(Driver &driver, const DeviceRef &device, int layer, cloopw_reason *reason) {
    reason->size = sizeof(*reason);
    struct cloopw_snapshot request = {};
    request.size = sizeof(request);
    request.flags = CLOOPW_SNAPSHOT_ELSEWHERE;
    request.layer_fd = layer;
    request.reason = reinterpret_cast<__u64>(reason);
    Handle node = driver.open(device, O_RDONLY | O_NONBLOCK);
    return node.ioctl(CLOOPW_SNAPSHOT, reinterpret_cast<unsigned long>(&request));
}

}  // namespace

void snapshot(Driver &driver, const DeviceRef &device, const std::string &path,
              const CowSettings &settings) {
    const CowFile what = check_new_layer(path, settings);
    CowBase base = base_for_snapshot(driver, device);
    want_cow_codec(driver, settings);
    NewCow made;
    made.create(path, what, layer_cow_format(), base, settings);
    Fd fd(open_data(path, O_RDWR));
    if (fd.get() < 0) {
        throw io_error(path, "cannot open for writing", errno);
    }
    lock_cow(fd.get(), path, true);
    cloopw_reason reason = {};
    int err = put_on_top(driver, device, fd.get(), &reason);
    if (err < 0) {
        throw refused(device.path + ": no snapshot", {path, base.path}, reason, err);
    }
    made.keep();
    driver.say(device.path + ": writes to " + path + " now; " + base.path + " stays as it is");
}

}  // namespace cloopw
