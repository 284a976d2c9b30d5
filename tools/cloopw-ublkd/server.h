/* SPDX-License-Identifier: GPL-2.0 */
/* Serves one image as one block device, from its making to its end. */
#ifndef CLOOPW_UBLKD_SERVER_H
#define CLOOPW_UBLKD_SERVER_H

#include <atomic>
#include <climits>
#include <cstdint>
#include <string>

#include "lib/serve/served.h"

namespace cloopw {

struct UblkOptions {
    ServedOptions served;
    uint32_t device = UINT32_MAX; /* N of /dev/ublkbN; UINT32_MAX: a free one */
    unsigned int queues = 0;      /* 0: one a processor, at most kMostQueues */
    unsigned int depth = 0;       /* requests a queue; 0: the default */
    unsigned int threads = 0;     /* of the pool; 0: the default */
    std::string pidfile;          /* written when the device can be used; empty: none */
    std::string idfile;           /* N, written as soon as it is known; empty: none */
};

/* What the supervisor knows of its server: in memory that both share. */
struct ServerState {
    std::atomic<uint32_t> device = UINT32_MAX; /* N of a device that exists */
    std::atomic<bool> ready = false;           /* it could be used once */
    std::atomic<bool> has_top = false;         /* top counts, not the first layer of options */
    char top[PATH_MAX] = {};                   /* of the last snapshot */
};

/*
 * Serves until SIGINT, or until the kernel has stopped the device; SIGTERM and SIGHUP
 * end it, too, without options.served.stay. Then the device is gone and all that was
 * written is stored. A device that exists already (state) is taken over from a server
 * that has ended. Throws Error; a device that was made is removed then.
 */
void serve(const UblkOptions &options, ServerState &state);

/* Ends the block device of whatever server, with errors for what is under way. Throws Error. */
void remove_device(uint32_t id);

/* Throws Error with the remedy when this machine cannot serve. */
void check_machine();

}  // namespace cloopw

#endif
