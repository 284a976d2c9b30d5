/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters KEY=VALUE of a server, and the device made of them. */
#ifndef CLOOPW_SERVE_SERVED_H
#define CLOOPW_SERVE_SERVED_H

#include <string>
#include <string_view>

#include "lib/cloopw.h"
#include "lib/cow/open_top.h"

namespace cloopw {

struct ServedOptions : StackOptions {
    ServedOptions() { style = kParameters; }

    CowArguments arguments; /* for StackOptions::cow; check_options() parses them */
    std::string status;     /* socket for who wants to know; empty: none */
    uint64_t cache = 0;     /* 0: by the memory there is */
    bool stay = false;      /* a block device depends on it */
};

/* Is the value of this parameter the path of a file? */
bool is_path_option(std::string_view key);

/* false: there is no such parameter. Throws Error for a value that is none. */
bool set_option(ServedOptions &options, std::string_view key, const std::string &value);

/* Do they go together? Sets what follows from them. Throws Error. */
void check_options(ServedOptions &options);

/* A top that is missing: a server that goes on for another must not make an empty one. */
enum class MissingTop { kMake, kRefuse };

/*
 * Opens the device; makes the top COW file when it is missing, which is the
 * caller's to keep. The COW files are locked until the end: who else serves them
 * is refused. Throws Error.
 */
Device open_served(const ServedOptions &options, NewCow &top,
                   MissingTop missing = MissingTop::kMake);

}  // namespace cloopw

#endif
