/* SPDX-License-Identifier: GPL-2.0 */
/* COW logs that are not files: on block devices and in memory. */
#ifndef CLOOPW_COW_COW_DEVICE_H
#define CLOOPW_COW_COW_DEVICE_H

#include <cstdint>
#include <string>

#include "cow_file.h"
#include "lib/fd.h"

namespace cloopw {

/* Begin and end of a device, where file systems and others have their marks. */
constexpr uint64_t kDeviceMarks = uint64_t{1} << 20;

/* Has it nothing but zeros in its first and last kDeviceMarks? Throws Error. */
bool is_blank(int fd, const std::string &name, uint64_t size);

/* Zeros there. Throws Error. */
void make_blank(int fd, const std::string &name, uint64_t size);

/*
 * Makes a COW log of the block device, which is blank or may be overwritten.
 * Durable. Returns its UUID. Throws Error, also when others use the device.
 */
Uuid create_cow_on_device(const std::string &path, const CowBase &base,
                          const CowSettings &settings);
/* Blank again, if it is that one still. Best effort. */
void remove_cow_from_device(const std::string &path, const Uuid &uuid);

/* A COW log in memory, which is gone when the last who has it open closes it. */
Fd create_cow_in_memory(const CowBase &base, const CowSettings &settings);

}  // namespace cloopw

#endif
