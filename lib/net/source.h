/* SPDX-License-Identifier: GPL-2.0 */
/* An image by its name: a file, a block device, or a file at a URL. */
#ifndef CLOOPW_NET_SOURCE_H
#define CLOOPW_NET_SOURCE_H

#include <optional>
#include <string>

#include "chunk_store.h"
#include "lib/cloopw.h"

namespace cloopw {

/*
 * Opens the image for reading, with net_settings(). offset and limit open a window, in
 * bytes; limit 0: to the end. Throws Error.
 */
Io open_source(const std::string &name, u64 offset = 0, u64 limit = 0);

/* nullopt: the io is not of a URL. */
std::optional<NetStats> net_stats(const cw_io &io);

/* Tells versions of the file apart, also in another process; 0: the io is not of a URL. */
u64 version_sum(const cw_io &io);

/*
 * For an io of a URL, before a fork: ends its thread and connections, which begin again
 * with the next read. Nobody reads meanwhile.
 */
void rest_source(const cw_io &io);

/* For an io of a URL that is about to end: reads that wait for its server fail. */
void abandon_source(const cw_io &io);

}  // namespace cloopw

#endif
