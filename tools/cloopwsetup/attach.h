/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_ATTACH_H
#define CLOOPWSETUP_ATTACH_H

#include <cstdint>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "driver.h"
#include "lib/cow/chain.h"
#include "lib/cow/cow_file.h"
#include "lib/cow/cow_settings.h"

namespace cloopw {

struct AttachOptions {
    std::string device; /* empty: a free one */
    std::string image;
    std::vector<std::string> cows; /* top first */
    std::string cow_format;        /* empty: the default */
    CowSettings cow;
    std::string format; /* of the image; empty: look at it */
    uint64_t offset = 0;
    uint64_t sizelimit = 0;   /* 0: all */
    uint64_t cache_bytes = 0; /* 0: the default */
    bool read_only = false;
    bool partscan = false;
    bool direct_io = false;
};

/* Returns the device. Throws Error; then no COW file was made. */
DeviceRef attach(Driver &driver, const AttachOptions &options);

/* What the top layer is; kThere when there is none. Throws Error for layers that cannot be used. */
CowFile check_given(const AttachOptions &options);

/* The layers that are there, the top first: those that were given and all they lie over. */
std::vector<CowLayer> find_layers(const AttachOptions &options, bool make_top,
                                  const struct stat &image);

}  // namespace cloopw

#endif
