// SPDX-License-Identifier: GPL-2.0
#include "space_watch.h"

namespace cloopw {

void SpaceWatch::look(const Device &device) {
    if (to_ == nullptr || device.info().nr_layers == 0 || !device.info().writable) {
        return;
    }
    cw_cow_space space = {};
    cw_device_get_space(&device.get(), &space);
    const u64 medium = cw_device_capacity(&device.get());
    SpaceEvent now;
    now.state = space.state;
    now.available = cw_cow_available(&space, medium);
    now.low = cw_cow_is_low(&mark_, cw_cow_capacity(&space, medium), now.available);
    if (now.state == told_.state && now.low == told_.low) {
        return;
    }
    told_ = now;
    to_->tell(now);
}

}  // namespace cloopw
