/* SPDX-License-Identifier: GPL-2.0 */
/* A parent that starts the server again when it came to a bad end. */
#ifndef CLOOPW_UBLKD_SUPERVISE_H
#define CLOOPW_UBLKD_SUPERVISE_H

#include <functional>
#include <string>

#include "server.h"

namespace cloopw {

/*
 * Runs server in a child, and in another while children are killed by signals. A signal
 * that ends a server becomes SIGINT for the child; with stay, SIGTERM and SIGHUP do not end
 * it. Returns the exit code of the last child. A device that no server can take over is
 * removed, and idfile with it: programs that use the device get errors, and do not wait.
 * With stay, a third process watches both, and supervises a new server when both were killed.
 */
int supervise(const std::function<int(ServerState &)> &server, bool stay,
              const std::string &idfile);

}  // namespace cloopw

#endif
