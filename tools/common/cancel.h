/* SPDX-License-Identifier: GPL-2.0 */
/* A signal asks a tool to end its work in good order. Only for main(). */
#ifndef CLOOPW_TOOLS_CANCEL_H
#define CLOOPW_TOOLS_CANCEL_H

#include <atomic>

namespace cloopw {

/*
 * From now on the first SIGINT, SIGTERM or SIGHUP sets the returned flag. A second one ends
 * the process at once. SIGXFSZ is ignored, so a file that grows too large is an error of
 * the write.
 */
const std::atomic<bool> &cancel_on_signals();

/* The signal that came last; 0: none. */
int caught_signal();

}  // namespace cloopw

#endif
