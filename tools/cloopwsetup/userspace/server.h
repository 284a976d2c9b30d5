/* SPDX-License-Identifier: GPL-2.0 */
/* nbdkit with our plugin. */
#ifndef CLOOPWSETUP_USERSPACE_SERVER_H
#define CLOOPWSETUP_USERSPACE_SERVER_H

#include <map>
#include <string>

#include "lib/cow/image_facts.h"
#include "lib/fd.h"
#include "state.h"
#include "tools/cloopwsetup/attach.h"
#include "tools/cloopwsetup/driver.h"

namespace cloopw {

/* "": it can be started; else why not, and what helps. */
std::string server_missing();

/*
 * Serves options on state.socket(). Records the process before it begins. Throws Error.
 */
void start_server(Driver &driver, UserspaceState &state, const AttachOptions &options,
                  const ImageFacts &image);

/* Waits until it has stored everything. Throws Error when it could not. */
void stop_server(const UserspaceState &state);

/* What the server says of itself at this moment; empty: it does not answer. */
std::map<std::string, std::string> server_status(const UserspaceState &state);

}  // namespace cloopw

#endif
