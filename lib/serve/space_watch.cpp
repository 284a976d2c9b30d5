// SPDX-License-Identifier: GPL-2.0
#include "space_watch.h"

namespace cloopw {

void SpaceWatch::look(const Device &device) {
    const bool failed = device.has_failed();
    if (to_ == nullptr || device.info().nr_layers == 0 || !(device.info().writable || failed)) {
        return;
    }
    cw_cow_space space = {};
    cw_device_get_space(&device.get(), &space);
    const u64 medium = cw_device_capacity(&device.get());
    SpaceEvent now;
    now.state = failed ? CW_COW_FAILED : space.state;
    now.available = cw_cow_available(&space, medium);
    now.low = cw_cow_is_low(&mark_, cw_cow_capacity(&space, medium), now.available);
    if (now.state == told_.state && now.low == told_.low) {
        return;
    }
    if (to_->tell(now)) {
        told_ = now;
    }
}

}  // namespace cloopw
