/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a server can be told while it serves: one JSON object a connection, on a line.
 *
 *	{"do": "status"}
 *	{"do": "set", "cow_limit": "67108864", "cache_limit": "8388608"}
 *	{"do": "snapshot", "path": "/new.cow", "codec": "zstd", "level": 3, "limit": "1G"}
 *
 * The answer is the status, {"ok": true}, or {"error": TEXT, "errno": NUMBER}.
 */
#ifndef CLOOPW_SERVE_ORDERS_H
#define CLOOPW_SERVE_ORDERS_H

#include <functional>
#include <string>

#include "lib/cloopw.h"

namespace cloopw {

/* Called when a new top exists and before the layer below is frozen for it. */
using OnNewTop = std::function<void(const std::string &path)>;

/* Carries out the line; returns the answer, which is a line, too. One thread at a time. */
std::string carry_out(Device &device, const std::string &line, const OnNewTop &on_new_top);

}  // namespace cloopw

#endif
