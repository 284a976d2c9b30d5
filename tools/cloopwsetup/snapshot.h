/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_SNAPSHOT_H
#define CLOOPWSETUP_SNAPSHOT_H

#include <string>

#include "driver.h"
#include "lib/cow/cow_settings.h"

namespace cloopw {

/*
 * Makes the COW, as settings say, and puts it on top of the device's layers, of which the
 * present top is never written again. path does not lie on the device: see stack.h.
 * Throws Error; then no file was made and the device is as it was.
 */
void snapshot(Driver &driver, const DeviceRef &device, const std::string &path,
              const CowSettings &settings);

}  // namespace cloopw

#endif
