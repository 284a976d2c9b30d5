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

/* Are the first and last kDeviceMarks zeros? Throws Error. */
bool is_blank(int fd, const std::string &name, uint64_t size);

/*
 * Did a power cut stop write_log_cow() or make_blank() here? The superblock is torn, it was
 * the first of a log that never had data, and the rest is blank. Throws Error.
 */
bool is_unfinished_log(int fd, const std::string &name, uint64_t size);

/*
 * Writes zeros there, durably, the first sector last. A power cut meanwhile leaves a log
 * that was never written unfinished, and no remains without a name. Throws Error.
 */
void make_blank(int fd, const std::string &name, uint64_t size);

/*
 * Makes a COW log on a block device, which must be blank unless the settings allow
 * overwriting. The log is durable afterwards. Returns its UUID. Throws Error, also when
 * others use the device.
 */
Uuid create_cow_on_device(const std::string &path, const CowBase &base,
                          const CowSettings &settings);
/* Makes the device blank again, if it still has the log of this UUID. Reports no errors. */
void remove_cow_from_device(const std::string &path, const Uuid &uuid);

/*
 * A COW log in memory. It vanishes when the last descriptor of it is closed. Throws Error.
 */
Fd create_cow_in_memory(const CowBase &base, const CowSettings &settings);

}  // namespace cloopw

#endif
