/* SPDX-License-Identifier: GPL-2.0 */
/* Servers that go on when this program has ended. */
#ifndef CLOOPWSETUP_USERSPACE_PROCESS_H
#define CLOOPWSETUP_USERSPACE_PROCESS_H

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace cloopw {

/* A pid is used again, with another start. */
struct Process {
    pid_t pid = 0;
    uint64_t start = 0; /* in clock ticks since the machine's start */
};

/* Where a program is, in PATH and where root's are; "": nowhere. */
std::string find_program(const std::string &name);

/* Says that a process is there, before it does anything. */
using Record = std::function<void(const Process &)>;

/*
 * Starts argv[0], which is a path. A block device depends on the process. So it is away
 * from the terminal and the caller's session, in /. The kernel does not wait for the
 * device when the process needs memory. Its output is appended to log. keep: a descriptor
 * that it inherits, or -1. If this program ends before record does, the process ends too.
 * Throws Error.
 */
Process start_process(const std::vector<std::string> &argv, const std::string &log, int keep,
                      const Record &record);

/* The one that has this pid now. */
Process process_of(pid_t pid);

/* Has it not ended? One that was never started has. */
bool is_alive(const Process &process);

/* Does it only wait to be continued, by a signal or a debugger? */
bool is_stopped(const Process &process);

/* Continues it then. */
void go_on(const Process &process);

/* Waits for its end. false: it has not ended by then. */
bool wait_for_end(const Process &process, std::chrono::milliseconds most);

}  // namespace cloopw

#endif
