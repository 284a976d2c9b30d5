/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Orders that a server takes while it serves: one JSON object a connection, on a line.
 *
 *	{"do": "status"}
 *	{"do": "set", "cow_limit": "67108864", "cache_limit": "8388608", "low_space": "5%",
 *	 "dio": "1"}
 *	{"do": "snapshot", "path": "/new.cow", "codec": "zstd", "level": 3, "limit": "1G"}
 *	{"do": "resize", "size": "4G"}
 *	{"do": "reset"}
 *	{"do": "recorded", "from": 0}
 *	{"do": "takeover", "program": "/usr/sbin/cloopw-ublkd"}
 *
 * The first reads of blocks are {"block_size": N, "reads": [[BLOCK, MILLISECONDS], ...]}.
 * A resize of which the last step failed is {"ok": true, "unfinished": TEXT}.
 * Else the answer is the status, {"ok": true}, or {"error": TEXT, "errno": NUMBER}, which
 * may have the reason's name, such as "code": "NOT_FREEZABLE".
 */
#ifndef CLOOPW_SERVE_ORDERS_H
#define CLOOPW_SERVE_ORDERS_H

#include <string>

#include "lib/cloopw.h"
#include "space_watch.h"

namespace cloopw {

/*
 * The surroundings of the device. They are told what another server of it has to know, before
 * it becomes so, and what its block device has to show.
 */
class Remembers {
public:
    virtual ~Remembers() = default;
    /* A new top exists; the layer below is frozen for it now. Throws Error: no snapshot. */
    virtual void push_top(const std::string & /*path*/) {}
    /* The snapshot failed. */
    virtual void pop_top() {}
    virtual void set_cache(u64 /*bytes*/) {}
    virtual void set_direct_io(bool /*wanted*/) {}
    virtual void set_low_space(const LowSpace & /*mark*/) {}
    /* Can the block device become longer while it is in use? Throws Error that says why not. */
    virtual void want_resizable();
    /* The device has so many bytes now. Throws Error. */
    virtual void show_size(u64 /*bytes*/) {}
    /*
     * The program, a whole path, is to serve in the place of this one. Throws Error: this one
     * goes on.
     */
    virtual void take_over(const std::string &program);
};

/* Carries out the line; returns the answer, which is a line, too. One thread at a time. */
std::string carry_out(Device &device, const std::string &line, Remembers &memory,
                      SpaceWatch &watch);

/* The answer to a client that may not give orders. */
std::string refuse_order();

}  // namespace cloopw

#endif
