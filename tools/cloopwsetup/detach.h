/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_DETACH_H
#define CLOOPWSETUP_DETACH_H

#include <string>
#include <vector>

#include "driver.h"
#include "lib/error.h"

namespace cloopw {

/* Throws Error; one for a device in use says by whom. */
void detach(Driver &driver, const DeviceRef &device);

/* A device or a partition of it, by all the names it goes by. */
struct Part {
    std::string name; /* "cloopw0p1" */
    std::string path; /* "/dev/cloopw0p1" */
    std::string id;   /* "251:1" */
    std::string sysfs;
};
/* The device, then its partitions. */
std::vector<Part> parts_of(Driver &driver, const DeviceRef &device);

/* A user of a device or of its partitions, and what ends that use. */
struct Holder {
    std::string what;   /* "mounted on /mnt" */
    std::string remedy; /* "umount /mnt" */
};
std::vector<Holder> holders_of(Driver &driver, const DeviceRef &device);

/* Says that this cannot be done, by whom the device is used, and what ends that. */
Error in_use(Driver &driver, const DeviceRef &device, const char *what = "cannot detach");

/*
 * Detaches the device, and throws the changes away that its COW file holds. The file stays,
 * and the next attach starts from what it lies over. Throws Error; for a device in use, or
 * one that has no such file, nothing has happened then.
 */
void detach_and_discard(Driver &driver, const DeviceRef &device);

}  // namespace cloopw

#endif
