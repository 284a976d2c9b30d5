/* SPDX-License-Identifier: GPL-2.0 */
/* Changes of a device while it is attached, besides those of adjust.h. */
#ifndef CLOOPWSETUP_CHANGE_H
#define CLOOPWSETUP_CHANGE_H

#include <cstdint>

#include "driver.h"

namespace cloopw {

/*
 * size 0: takes over the size of a raw image that has grown or shrunk. Else the device
 * grows to so many bytes, which its COW remembers. Throws Error.
 */
void resize(Driver &driver, const DeviceRef &device, uint64_t size);

/* Makes all that was written durable, file systems on it included. Throws Error. */
void flush(Driver &driver, const DeviceRef &device);

/* Bounds the memory for decompressed data. Throws Error. */
void set_cache(Driver &driver, const DeviceRef &device, uint64_t bytes);

/* Reads the image past the page cache, or through it. Throws Error. */
void set_direct_io(Driver &driver, const DeviceRef &device, bool wanted);

/* Says how the image is read when direct I/O was asked for. */
void say_direct_io(Driver &driver, const DeviceRef &device);

}  // namespace cloopw

#endif
