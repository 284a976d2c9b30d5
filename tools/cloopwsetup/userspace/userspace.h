/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attaching without the driver: a server has the engine, and a driver of the kernel's
 * own (see way.h) makes a block device of that.
 */
#ifndef CLOOPWSETUP_USERSPACE_H
#define CLOOPWSETUP_USERSPACE_H

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "state.h"
#include "tools/cloopwsetup/attach.h"
#include "tools/cloopwsetup/driver.h"

namespace cloopw {

struct UserspaceDevice {
    UserspaceState state;
    std::map<std::string, std::string> attributes; /* the driver's names in sysfs */
};

/* This machine has none of the ways. */
class NoWay : public Error {
public:
    using Error::Error;
};

/*
 * way: "auto", or the name of the way that must be used. options.device:
 * /dev/ublkbN, /dev/nbdN or /dev/loopN; /dev/cloopwN: a link to one that is free; empty:
 * a free one. Throws Error; then nothing is left behind.
 */
DeviceRef attach_userspace(Driver &driver, const AttachOptions &options, const std::string &way);

/* All that are attached so, and what is left of those that came to a bad end. */
std::vector<DeviceRef> userspace_devices(Driver &driver);
/* By its node, its link, or its directory. nullopt: it is none of these. */
std::optional<DeviceRef> find_userspace(Driver &driver, const std::string &name);

/* Throws Error; for a device in use nothing has happened then. */
void detach_userspace(Driver &driver, const DeviceRef &device);

/* Does what Driver::set_attribute() does. */
int set_userspace_attribute(const DeviceRef &device, const std::string &name,
                            const std::string &text);

/* Like the driver's snapshot(): the server makes the layer, and freezes its present top. */
void snapshot_userspace(Driver &driver, const DeviceRef &device, const std::string &path,
                        const CowSettings &settings);

/* The device grows to so many bytes, which its COW remembers. Throws Error. */
void resize_userspace(Driver &driver, const DeviceRef &device, uint64_t size);

/*
 * The installed server takes the place of the one that serves the device, which is in use
 * meanwhile. Returns what the server says of it. Throws Error: the present server goes on.
 */
std::string take_over_userspace(Driver &driver, const DeviceRef &device);

/* Can its server be replaced while it is in use? */
bool can_be_taken_over(const DeviceRef &device);

/* Throws the changes of the top layer away. Throws Error. */
void reset_userspace(Driver &driver, const DeviceRef &device);

/* Blocks of an image in the order of their first read since the attach. */
struct FirstReads {
    struct Read {
        uint64_t block;
        uint64_t ms; /* since the attach */
    };
    uint64_t block_size = 0; /* bytes */
    std::vector<Read> reads;
};

/* Some of those from number from on; none: there are no more. Throws Error. */
FirstReads first_reads_userspace(const DeviceRef &device, uint64_t from);

Names userspace_way_names(); /* auto first */

}  // namespace cloopw

#endif
