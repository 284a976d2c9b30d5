/* SPDX-License-Identifier: GPL-2.0 */
/* A parent that starts the server again when it came to a bad end. */
#ifndef CLOOPW_UBLKD_SUPERVISE_H
#define CLOOPW_UBLKD_SUPERVISE_H

#include <chrono>
#include <functional>
#include <string>

#include "server.h"

namespace cloopw {

struct Supervision {
    char **argv = nullptr; /* this program's, for one that takes over */
    bool stay = false;
    std::string idfile;
    std::string image; /* a file is kept open for all servers; anything else is not */
    int state = -1;    /* descriptor of the state of a program that this one replaces; -1: none */
    /* Before the first server. Throws Error: this program cannot serve. */
    std::function<void()> prepare = [] {};
    std::chrono::milliseconds patience = std::chrono::seconds(30); /* with failing servers */
};

/*
 * Runs server in a child, and in another while children are killed by signals. It does so,
 * too, while they fail, until the patience ends or one fails with kExitNever. A signal that
 * ends a server becomes SIGINT for the child; with stay, SIGTERM and SIGHUP do not end it.
 * Returns the exit code of the last child. A device that no server can take over is removed, and
 * idfile with it: programs that use the device get errors, and do not wait. With stay, a
 * third process watches both, and supervises a new server when both were killed. A watch
 * that was killed is replaced.
 *
 * SIGUSR1 makes this process execute the program that the state names, with the same
 * arguments and the state. Its child serves on until that program is ready. When the new
 * program or its server cannot go on, this program returns in the same way. Throws Error
 * when nothing was begun.
 */
int supervise(const std::function<int(ServerState &)> &server, const Supervision &how);

}  // namespace cloopw

#endif
