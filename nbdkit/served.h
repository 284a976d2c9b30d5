/* SPDX-License-Identifier: GPL-2.0 */
/* What the plugin serves: the parameters, and the device made of them. */
#ifndef CLOOPW_NBDKIT_SERVED_H
#define CLOOPW_NBDKIT_SERVED_H

#include <string>
#include <string_view>
#include <vector>

#include "lib/cloopw.h"
#include "lib/cow/cow_file.h"
#include "lib/cow/cow_settings.h"

namespace cloopw {

struct ServedOptions {
    std::string image;
    std::vector<std::string> cows; /* the top first */
    std::string format;            /* of the image; empty: look at it */
    std::string cow_format;        /* of a COW file to be made; empty: the default */
    CowArguments cow;              /* the same */
    std::string status;            /* socket for who wants to know; empty: none */
    uint64_t offset = 0;
    uint64_t sizelimit = 0;
    uint64_t cache = 0; /* 0: by the memory there is */
    bool read_only = false;
    bool stay = false; /* a block device depends on it */
};

/* false: there is no such parameter. Throws Error for a value that is none. */
bool set_option(ServedOptions &options, std::string_view key, const std::string &value);

/* Do they go together? Throws Error. */
void check_options(const ServedOptions &options);

/*
 * Opens the device; makes the top COW file when it is missing, which is the
 * caller's to keep. The COW files are locked until the end: who else serves them
 * is refused. Throws Error.
 */
Device open_served(const ServedOptions &options, NewCow &top);

}  // namespace cloopw

#endif
