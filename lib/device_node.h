/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_DEVICE_NODE_H
#define CLOOPW_LIB_DEVICE_NODE_H

#include <sys/types.h>

#include <string>

namespace cloopw {

/*
 * Makes the node of a device for a container that gets none by itself. kind: S_IFBLK or
 * S_IFCHR. numbers: "MAJOR:MINOR", as sysfs says. 0 or errno.
 */
int make_device_node(const std::string &path, mode_t kind, const std::string &numbers);

}  // namespace cloopw

#endif
