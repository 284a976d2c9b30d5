/* SPDX-License-Identifier: GPL-2.0 */
/* A process by its number and its start. */
#ifndef CLOOPW_LIB_PROCESS_H
#define CLOOPW_LIB_PROCESS_H

#include <sys/types.h>

#include <cstdint>

namespace cloopw {

/* A pid is used again, with another start. */
struct Process {
    pid_t pid = 0;
    uint64_t start = 0; /* in clock ticks since the machine's start */
};

/* The one that has this pid now. */
Process process_of(pid_t pid);

/* Has it not ended? One that was never started has. */
bool is_alive(const Process &process);

/* Does it only wait to be continued, by a signal or a debugger? */
bool is_stopped(const Process &process);

}  // namespace cloopw

#endif
