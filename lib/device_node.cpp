// SPDX-License-Identifier: GPL-2.0
#include "device_node.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdio>

namespace cloopw {

int make_device_node(const std::string &path, mode_t kind, const std::string &numbers) {
    unsigned int major = 0;
    unsigned int minor = 0;
    if (sscanf(numbers.c_str(), "%u:%u", &major, &minor) != 2) {
        return ENODEV;
    }
    return mknod(path.c_str(), kind | S_IRUSR | S_IWUSR, makedev(major, minor)) == 0 ? 0 : errno;
}

}  // namespace cloopw
