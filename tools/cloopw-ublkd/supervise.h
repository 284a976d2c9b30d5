/* SPDX-License-Identifier: GPL-2.0 */
/* A parent that starts the server again when it came to a bad end. */
#ifndef CLOOPW_UBLKD_SUPERVISE_H
#define CLOOPW_UBLKD_SUPERVISE_H

#include <functional>

#include "server.h"

namespace cloopw {

/*
 * Runs server in a child, and in another while children are killed by signals; signals
 * that end a server go on to the child. Returns the exit code of the last. A device
 * that no server can take over is removed: who uses it gets errors, and does not wait.
 */
int supervise(const std::function<int(ServerState &)> &server, bool stay);

}  // namespace cloopw

#endif
