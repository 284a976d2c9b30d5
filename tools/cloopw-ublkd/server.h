/* SPDX-License-Identifier: GPL-2.0 */
/* Serves one image as one block device, from its making to its end. */
#ifndef CLOOPW_UBLKD_SERVER_H
#define CLOOPW_UBLKD_SERVER_H

#include <sys/types.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <exception>
#include <string>

#include "kernel/cloopw/uapi/cloopw.h"
#include "lib/serve/served.h"
#include "lib/serve/space_watch.h"

namespace cloopw {

/* Their threads copy what is cached; the pool decompresses, with as many threads as it likes. */
constexpr unsigned int kMostQueues = 4;

struct UblkOptions {
    ServedOptions served;
    uint32_t device = UINT32_MAX;          /* N of /dev/ublkbN; UINT32_MAX: a free one */
    unsigned int queues = 0;               /* 0: one a processor, at most kMostQueues */
    unsigned int depth = 0;                /* requests a queue; 0: the default */
    unsigned int threads = 0;              /* the pool's; 0: the default */
    uint32_t sector_size = CW_SECTOR_SIZE; /* bytes, a power of two up to a page */
    std::string pidfile;                   /* written when the device can be used; empty: none */
    std::string idfile;                    /* N, written as soon as it is known; empty: none */
};

/* Another number for each change of ServerState: only the same can be taken over. */
constexpr uint32_t kStateLayout = 4;

/*
 * A device's state for the servers that come after a crash. The supervisor shares its memory
 * with each of them, and with another version of this program that takes over. One server at
 * a time writes it.
 */
struct ServerState {
    uint32_t layout = kStateLayout;
    std::atomic<pid_t> supervisor = 0;         /* the process that has the servers as children */
    std::atomic<pid_t> server = 0;             /* the child that serves */
    std::atomic<pid_t> watch = -1;             /* starts both anew when they were killed */
    std::atomic<uint32_t> device = UINT32_MAX; /* N of a device that exists */
    std::atomic<bool> ready = false;           /* it could be used once */
    std::atomic<bool> recovering = false;      /* a server began to take it over */
    std::atomic<bool> restarts = false;        /* the kernel lets another one begin that anew */
    std::atomic<bool> ended = false;           /* the supervisor came to its end */
    std::atomic<bool> serves = false;          /* the present server does, or did */
    std::atomic<int64_t> serves_since = 0;     /* milliseconds of the steady clock */
    std::atomic<uint64_t> cache = 0;           /* bytes that --set-cache set; 0: never */
    std::atomic<int> direct_io = -1;           /* --direct-io's; -1: as it was asked for */
    std::atomic<uint32_t> low_percent = LowSpace().percent; /* --low-space's */
    std::atomic<uint64_t> low_bytes = 0;                    /* the same, when that is 0 */
    std::atomic<bool> failed = false;  /* a flush was not done: nothing is written any more */
    std::atomic<uint32_t> nr_tops = 0; /* tops that count: those of snapshots */
    char top[CLOOPW_MAX_LAYERS][PATH_MAX] = {};
    Uuid uuid[CLOOPW_MAX_LAYERS + 1] = {}; /* the first top's, and theirs; zeros: it has none */
    /* The program that is to take over; empty: none. */
    char successor[PATH_MAX] = {};
    std::atomic<bool> taking_over = false;  /* the server is of the program before */
    std::atomic<int> predecessor = -1;      /* the program before, for a return to it; -1: none */
    std::atomic<int64_t> paused_since = -1; /* milliseconds of the steady clock; -1: it is served */
    std::atomic<int> image = -1; /* descriptor of the image, in all processes; -1: at a URL */
    u64 version_sum = 0;         /* when it was opened; 0: the image is not at a URL */
};

/* The exit code of a server when no later one can do better. */
constexpr int kExitNever = 3;

/* A server ends with it that has failed for this reason. */
int exit_code_of(const std::exception &reason);

/* Can another server go on with the device? The kernel must not begin twice on most of them. */
bool can_recover(const ServerState &state);

/* Milliseconds of the steady clock, which all processes share. */
int64_t now_ms();

/*
 * Serves until SIGINT, or until the kernel has stopped the device; SIGTERM and SIGHUP
 * end it, too, without options.served.stay. Then the device is gone and all that was
 * written is stored. A device that exists already (state) is taken over from a server
 * that has ended; until that is done, SIGINT ends the process. Throws Error. A device that
 * exists then is the supervisor's, and another server may take it over.
 */
void serve(const UblkOptions &options, ServerState &state);

/*
 * Ends the block device, with errors for what is under way. Throws Error; of EBUSY when only
 * a device without a server is to be removed, and this one has one.
 */
void remove_device(uint32_t id, bool only_orphan);

/* Throws Error with the remedy when this machine cannot serve. */
void check_machine();

}  // namespace cloopw

#endif
