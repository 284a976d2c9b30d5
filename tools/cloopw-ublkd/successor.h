/* SPDX-License-Identifier: GPL-2.0 */
/* Another version of this program, which is to serve in its place. */
#ifndef CLOOPW_UBLKD_SUCCESSOR_H
#define CLOOPW_UBLKD_SUCCESSOR_H

#include <string>

namespace cloopw {

/* "VERSION LAYOUT", as --state prints it; the layout is that of ServerState. */
std::string state_version();

/*
 * Starts the program as it would be started for good, with --state. Throws Error when it
 * cannot run here, is older than this program, or has another layout of the state.
 */
void check_successor(const std::string &program);

}  // namespace cloopw

#endif
