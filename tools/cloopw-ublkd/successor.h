/* SPDX-License-Identifier: GPL-2.0 */
/* Another version of this program, which is to serve in its place. */
#ifndef CLOOPW_UBLKD_SUCCESSOR_H
#define CLOOPW_UBLKD_SUCCESSOR_H

#include <string>

namespace cloopw {

/* The parameter with the descriptor of the state, for a program that takes over. */
constexpr const char *kStateWord = "state=";

/* "VERSION LAYOUT", as --state prints it; the layout is that of ServerState. */
std::string state_version();

/*
 * Starts the program as it would be started for good, with --state. Throws Error when it
 * cannot run here, does not know this server's arguments, is older than this program, or has another layout of the state.
 */
void check_successor(const std::string &program);

}  // namespace cloopw

#endif
