/* SPDX-License-Identifier: GPL-2.0 */
/* Servers that go on when this program has ended. */
#ifndef CLOOPWSETUP_USERSPACE_PROCESS_H
#define CLOOPWSETUP_USERSPACE_PROCESS_H

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "lib/process.h"

namespace cloopw {

/*
 * /proc/self/cgroup: is this process of a session or of a service, with which systemd ends
 * its children?
 */
bool ends_with_its_cgroup(const std::string &cgroups);

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

/* Continues it then. */
void go_on(const Process &process);

/* Waits for its end. false: it has not ended by then. */
bool wait_for_end(const Process &process, std::chrono::milliseconds most);

}  // namespace cloopw

#endif
