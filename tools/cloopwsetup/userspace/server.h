/* SPDX-License-Identifier: GPL-2.0 */
/* The process that has the engine: nbdkit with our plugin, or cloopw-ublkd. */
#ifndef CLOOPWSETUP_USERSPACE_SERVER_H
#define CLOOPWSETUP_USERSPACE_SERVER_H

#include <map>
#include <string>

#include "lib/cow/image_facts.h"
#include "lib/fd.h"
#include "state.h"
#include "tools/cloopwsetup/attach.h"
#include "tools/cloopwsetup/driver.h"
#include "tools/common/table.h"
#include "way.h"

namespace cloopw {

/*
 * Starts the way's server with options. Records the process before it begins, and
 * returns when it serves. Throws Error.
 */
void start_server(Driver &driver, UserspaceState &state, const AttachOptions &options,
                  const ImageFacts &image, const UserspaceWay &way, const NodeRequest &request);

/* The program of this name beside this one, else an installed one; "": there is none. */
std::string own_program(const std::string &name);

/*
 * The process that a signal ends: the server, or what serves on after its supervisor was
 * killed. pid 0: there is none.
 */
Process serving_process(const UserspaceState &state);

/* Continues those of its processes that a signal has stopped. */
void continue_server(const UserspaceState &state);

/* Bytes of its log. */
uintmax_t end_of_log(const UserspaceState &state);

/* Tells the process to end. */
void interrupt_server(const Process &server);

/*
 * Waits until it has stored everything. Throws Error when it could not, or when its log has
 * more than so many bytes: its last words.
 */
void stop_server(const UserspaceState &state, uintmax_t from);

/* Tells the server to do it, see lib/serve/orders.h, and returns its answer. Throws Error with its reason. */
Json order_server(const UserspaceState &state, const Json &order);

/*
 * The installed program takes the place of the server, see tools/cloopw-ublkd/supervise.h.
 * Returns what the new server says. Throws Error: the present server goes on.
 */
std::string take_over_server(Driver &driver, const UserspaceState &state);

/* The server's present status; empty: it does not answer. */
std::map<std::string, std::string> server_status(const UserspaceState &state);

}  // namespace cloopw

#endif
