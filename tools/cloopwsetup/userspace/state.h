/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record of an attachment without the driver: a directory for each, /run/cloopw/N,
 * with its sockets, its log and the state file. A program records every step before it
 * does it. So the next program finds what there is to clear away.
 */
#ifndef CLOOPWSETUP_USERSPACE_STATE_H
#define CLOOPWSETUP_USERSPACE_STATE_H

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/fd.h"
#include "process.h"

namespace cloopw {

struct UserspaceState {
    std::string dir;
    std::string way;       /* how the server becomes a device: "ublk", "nbd", "fuse" */
    std::string node;      /* "/dev/loop3"; may not be ours yet */
    std::string link;      /* "/dev/cloopw0", leads to node; empty: none */
    std::string boot;      /* the machine's boot that this belongs to */
    Process maker;         /* the process that attached it */
    Process server;        /* nbdkit, or cloopw-ublkd */
    Process client;        /* nbdfuse or nbd-client */
    bool complete = false; /* the device can be used */
    /* The constant ones of the driver's attributes in sysfs. */
    std::map<std::string, std::string> attributes;

    std::string socket() const { return dir + "/socket"; }
    std::string status_socket() const { return dir + "/status"; }
    std::string device_file() const { return dir + "/device"; } /* N of /dev/ublkbN */
    std::string log() const { return dir + "/log"; }
    std::string node_name() const { return node.substr(node.rfind('/') + 1); }
};

/* Replaces what was recorded. Throws Error. */
void write_state(const UserspaceState &state);
/*
 * nullopt when there is nothing to read; from before a boot of the machine: without
 * processes and device.
 */
std::optional<UserspaceState> read_state(const std::string &dir);

/* By number. */
std::vector<std::string> state_dirs(const std::string &root);

/* Held by who attaches, detaches or clears away; for a moment by who looks. */
class StateLock {
public:
    /* Makes the first directory that is free. Throws Error. */
    static StateLock create(const std::string &root);
    /* nullopt: there is no such directory, or, without wait, another has it. */
    static std::optional<StateLock> take(const std::string &dir, bool wait);

    const std::string &dir() const { return dir_; }
    /* The directory with everything in it, while still locked. */
    void remove() const;

private:
    StateLock(std::string dir, Fd fd) : dir_(std::move(dir)), fd_(std::move(fd)) {}

    std::string dir_;
    Fd fd_;
};

}  // namespace cloopw

#endif
