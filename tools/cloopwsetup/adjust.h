/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_ADJUST_H
#define CLOOPWSETUP_ADJUST_H

#include "driver.h"
#include "lib/cow/cow_settings.h"

namespace cloopw {

/* Sets what can be changed of an attached device's COW. Throws Error. */
void adjust(Driver &driver, const DeviceRef &device, const CowSettings &cow);

/* Sets one attribute, for an option that is named so. Throws Error. */
void set_attribute(Driver &driver, const DeviceRef &device, const char *attribute,
                   const std::string &value, const std::string &option);

}  // namespace cloopw

#endif
