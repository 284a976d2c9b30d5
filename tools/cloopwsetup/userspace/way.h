/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a server becomes a block device. One file and one row of userspace_ways() a way;
 * the first that this machine has is taken.
 */
#ifndef CLOOPWSETUP_USERSPACE_WAY_H
#define CLOOPWSETUP_USERSPACE_WAY_H

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "lib/fd.h"
#include "state.h"
#include "tools/cloopwsetup/driver.h"

namespace cloopw {

struct NodeRequest {
    std::string device; /* "/dev/loop3"; empty: a free one */
    bool read_only = false;
    bool partscan = false;
    uint32_t sector_size = 0; /* bytes; 0: 512 */
};

/* The program that has the engine. It takes the plugin's parameters KEY=VALUE. */
struct UserspaceServer {
    const char *name;

    /* "": it can be started; else why not, and what helps. */
    std::string (*missing)();

    /* The program's path, and what comes before the parameters. */
    std::vector<std::string> (*command)(const UserspaceState &state, const NodeRequest &request);
};

extern const UserspaceServer kNbdkitServer;
extern const UserspaceServer kUblkServer;

struct UserspaceWay {
    const char *name;
    const char *prefix; /* its devices': "loop" */
    const UserspaceServer *server;
    bool has_low_space;   /* its server can tell udev */
    bool has_sector_size; /* its devices can have other sectors than of 512 bytes */

    /* "": it can be gone; else why not, and what helps. May load a module. */
    std::string (*missing)(Driver &driver);

    /*
     * Makes the device. Records with write_state() what it is about to do. On
     * error what was recorded is there or not, detach() ends it. Throws Error.
     */
    void (*attach)(Driver &driver, UserspaceState &state, const NodeRequest &request);

    /* Is state.node a device that the server of state serves? */
    bool (*attached)(Driver &driver, const UserspaceState &state);

    /*
     * Ends all that attach() began, as far as it came. 0: all that was written
     * to the device is with the server, or the errno for which it is not. Throws Error,
     * for a device in use above all; can be tried again.
     */
    int (*detach)(Driver &driver, const UserspaceState &state);

    /* Drops what lies between server and device of the content. nullptr: nothing does. */
    void (*forget)(const UserspaceState &state);
};

extern const UserspaceWay kUblkWay;
extern const UserspaceWay kNbdWay;
extern const UserspaceWay kFuseWay;

inline std::array<const UserspaceWay *, 3> userspace_ways() {
    return {&kUblkWay, &kNbdWay, &kFuseWay};
}

/* Waits until done, for so long. false: it was not. */
bool wait_until(Driver &driver, std::chrono::milliseconds most, const std::function<bool()> &done);

/* The last error that a program of ours wrote, for people; "" when it wrote none. */
std::string last_words(const std::string &log, uintmax_t from = 0);

/* The first line with "error: " that a program of ours wrote since; "": there is none. */
std::string first_error(const std::string &log, uintmax_t from);

/* The last line since that is not empty; "": there is none. */
std::string last_line(const std::string &log, uintmax_t from);

/*
 * Sends the server what was written to it: 0 or errno, such as ETIMEDOUT when nobody serves
 * it. *claim is the open device, which nobody else can mount meanwhile. Throws Error for a
 * device in use.
 */
int settle_device(Driver &driver, const UserspaceState &state, Fd *claim);

/* "/sys/block/loop3/NAME" */
std::string node_attribute(Driver &driver, const UserspaceState &state, const std::string &name);

/* Its node, for a container that does not get one by itself. Throws Error. */
void want_node(Driver &driver, const std::string &node);

}  // namespace cloopw

#endif
