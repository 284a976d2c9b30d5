// SPDX-License-Identifier: GPL-2.0
#include "holes.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cloopw {

void Holes::find_data(u64 off) {
    looked_from_ = off;
    const off_t begin = lseek(fd_, static_cast<off_t>(off), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) {
        data_begin_ = data_end_ = size_; /* a hole to the end */
        return;
    }
    const off_t end = begin < 0 ? -1 : lseek(fd_, begin, SEEK_HOLE);
    known_ = end >= 0;
    data_begin_ = std::min(static_cast<u64>(begin), size_);
    data_end_ = static_cast<u64>(end);
}

}  // namespace cloopw
