/* SPDX-License-Identifier: GPL-2.0 */
/* The parameters KEY=VALUE of a server, and the device made of them. */
#ifndef CLOOPW_SERVE_SERVED_H
#define CLOOPW_SERVE_SERVED_H

#include <string>

#include "lib/cloopw.h"
#include "lib/cow/open_top.h"
#include "parameter.h"

namespace cloopw {

struct ServedOptions : StackOptions {
    ServedOptions() { style = kParameters; }

    CowArguments arguments; /* for StackOptions::cow; check_options() parses them */
    std::string status;     /* socket for who wants to know; empty: none */
    uint64_t cache = 0;     /* 0: by the memory there is */
    bool stay = false;      /* a block device depends on it */
    bool direct_io = false; /* the image is read past the page cache */
};

/* The parameters that set the options and net_settings(); the options outlive these. */
Parameters served_parameters(ServedOptions &options);

/* Do they go together? Sets what follows from them. Throws Error. */
void check_options(ServedOptions &options);

/* A top that is missing: a server that goes on for another must not make an empty one. */
enum class MissingTop { kMake, kRefuse };

/* Reads the image past the page cache, or by it. Throws Error. */
void set_direct_io(Device &device, bool wanted);

/*
 * Opens the device; makes the top COW file when it is missing, which is the
 * caller's to keep. The COW files are locked until the end: who else serves them
 * is refused. Throws Error.
 */
Device open_served(const ServedOptions &options, NewCow &top,
                   MissingTop missing = MissingTop::kMake);

}  // namespace cloopw

#endif
