/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stack below a file, down to the hardware: file systems, partitions, dm, md,
 * loop devices and those of the driver. A layer on the device that it is for
 * would wait for itself.
 */
#ifndef CLOOPWSETUP_STACK_H
#define CLOOPWSETUP_STACK_H

#include <string>

#include "driver.h"

namespace cloopw {

/*
 * path: a block device, or a file, which need not be there yet. Throws Error when
 * it lies on the device, and unless it is forced, when that cannot be told.
 */
void want_elsewhere(Driver &driver, const DeviceRef &device, const std::string &path, bool force);

}  // namespace cloopw

#endif
