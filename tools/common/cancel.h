/* SPDX-License-Identifier: GPL-2.0 */
/* A signal asks a tool to end its work in good order. For main() alone. */
#ifndef CLOOPW_TOOLS_CANCEL_H
#define CLOOPW_TOOLS_CANCEL_H

#include <atomic>

namespace cloopw {

/*
 * From now on the first SIGINT, SIGTERM or SIGHUP sets what is returned; a
 * second one ends the process at once. A file that grows too large is an error
 * of the write, no signal.
 */
const std::atomic<bool> &cancel_on_signals();

/* The signal that came last; 0: none has. */
int caught_signal();

}  // namespace cloopw

#endif
