/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_COW_USERS_H
#define CLOOPW_COW_USERS_H

#include <sys/stat.h>

#include <string>

namespace cloopw {

/*
 * The device that has the file as its image or as a layer, such as "/dev/cloopw0". Empty:
 * none of the driver's devices has it, and none that 'cloopwsetup --userspace' made. Other
 * servers, such as nbdkit, tell nobody.
 */
std::string device_with(const struct stat &file, const std::string &sys_block = "/sys/block",
                        const std::string &run = "/run/cloopw");

}  // namespace cloopw

#endif
