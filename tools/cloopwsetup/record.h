/* SPDX-License-Identifier: GPL-2.0 */
/* Which blocks of an image were read first since its attach. */
#ifndef CLOOPWSETUP_RECORD_H
#define CLOOPWSETUP_RECORD_H

#include <string>

#include "driver.h"

namespace cloopw {

/* Writes the list to the file, for mkcloopw --order. Throws Error. */
void record(Driver &driver, const DeviceRef &device, const std::string &path);

}  // namespace cloopw

#endif
