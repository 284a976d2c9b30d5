// SPDX-License-Identifier: GPL-2.0
#include "cow_header.h"

#include <unistd.h>

#include "lib/error.h"
#include "lib/move_all.h"

namespace cloopw {

void write_cow_header(int fd, const std::string &name, const void *bytes, size_t len,
                      uint64_t off) {
    const int err = move_all(pwrite, fd, static_cast<const char *>(bytes), len, off);
    if (err != 0) {
        throw io_error(name, "cannot write the COW header", err);
    }
}

}  // namespace cloopw
