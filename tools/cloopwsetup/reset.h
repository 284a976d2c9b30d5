/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_RESET_H
#define CLOOPWSETUP_RESET_H

#include "driver.h"

namespace cloopw {

/*
 * Throws the changes away that the device's top layer holds, while it is attached. That is
 * durable on return, and the device's page cache has nothing of before. Throws Error, also
 * for a device that is mounted, and without force for one that others have open.
 */
void reset(Driver &driver, const DeviceRef &device, bool force);

}  // namespace cloopw

#endif
