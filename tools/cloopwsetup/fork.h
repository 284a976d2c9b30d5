/* SPDX-License-Identifier: GPL-2.0 */
/* Many writable devices over one base: --fork. */
#ifndef CLOOPWSETUP_FORK_H
#define CLOOPWSETUP_FORK_H

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "attach.h"
#include "driver.h"

namespace cloopw {

constexpr uint64_t kMostForks = 1024; /* at a time */

struct Fork {
    DeviceRef device;
    std::string cow;       /* path; empty: in memory */
    struct stat file = {}; /* which file that was when it was made */
};

/*
 * Forks of an attached device lie over its image and its frozen layers: returns these. The
 * layer that is written belongs to the device. Throws Error for a device whose top layer
 * might be written by others.
 */
StackOptions base_of_device(Driver &driver, const DeviceRef &device);

/*
 * Attaches so many devices with attach_one, each with a new COW over options.cows (the top
 * first). place: a directory, or a file name in which the last % is the fork's number; empty:
 * the changes are kept in memory. On Error all that was made is taken back, and the message
 * says so.
 */
std::vector<Fork> make_forks(Driver &driver, const AttachOptions &options, uint64_t count,
                             const std::string &place,
                             const std::function<DeviceRef(const AttachOptions &)> &attach_one);

/*
 * Detaches forks and removes their COW files. It leaves another file that has got the name
 * meanwhile, and a file that others use. Returns what could not be taken back.
 */
std::string take_back(Driver &driver, const std::vector<Fork> &forks);

}  // namespace cloopw

#endif
