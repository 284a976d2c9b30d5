// SPDX-License-Identifier: GPL-2.0
#include "memory_file.h"

#include <sys/mman.h>

#include <cerrno>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace cloopw {

Fd memory_file(const char *name) {
    Fd fd(memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL));
    if (fd.get() < 0 && errno == EINVAL) { /* before Linux 6.3 */
        fd = Fd(memfd_create(name, MFD_CLOEXEC));
    }
    return fd;
}

}  // namespace cloopw
