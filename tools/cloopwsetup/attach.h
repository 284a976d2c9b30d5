/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_ATTACH_H
#define CLOOPWSETUP_ATTACH_H

#include <cstdint>
#include <string>

#include "driver.h"
#include "lib/cow/open_top.h"

namespace cloopw {

struct AttachOptions : StackOptions {
    std::string device;       /* empty: a free one */
    uint64_t cache_bytes = 0; /* 0: the default */
    std::string sector_size;  /* bytes; empty: 512 */
    bool partscan = false;
    bool direct_io = false;
    bool recording = false; /* notes first reads, as servers always do */
};

/* Returns the device. Throws Error; then no COW file was made. */
DeviceRef attach(Driver &driver, const AttachOptions &options);

}  // namespace cloopw

#endif
