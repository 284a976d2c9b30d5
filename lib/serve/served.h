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
    std::string image_at;   /* another name of the image, to open it; empty: its own */
    uint64_t cache = 0;     /* 0: by the memory there is */
    bool stay = false;      /* a block device depends on it */
    bool direct_io = false; /* the image is read past the page cache */
    bool failed = false;    /* the COW has, in a server before: it is only read */
};

/* The parameters that set the options and net_settings(); the options outlive these. */
Parameters served_parameters(ServedOptions &options);

/* Do they go together? Sets what follows from them. Throws Error. */
void check_options(ServedOptions &options);

/*
 * kAgain: for a server that has ended, whose block device is in use. The layers are there,
 * and a missing one is not made. The image is the same file, whatever its time says. A COW of
 * which a writeback failed meanwhile cannot be written (CLOOPW_R_UNWRITABLE).
 */
enum class Opening { kFirst, kAgain };

/* Reads the image past the page cache, or by it. Throws Error. */
void set_direct_io(Device &device, bool wanted);

/*
 * Opens the device; makes the top COW file when it is missing, which is the
 * caller's to keep. The COW files are locked until the end: who else serves them
 * is refused. Throws Error.
 */
Device open_served(const ServedOptions &options, NewCow &top, Opening opening = Opening::kFirst);

}  // namespace cloopw

#endif
