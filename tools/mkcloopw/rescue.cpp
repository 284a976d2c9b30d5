// SPDX-License-Identifier: GPL-2.0
#include "rescue.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cloopw {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSector = 512;

/*
 * After such an error another sector may be readable. After other errors, such as a missing
 * device, none is.
 */
bool is_of_the_medium(int err) {
    return err == EIO || err == ENODATA || err == EILSEQ || err == EREMOTEIO || err == EBADMSG ||
           err == ETIMEDOUT;
}

}  // namespace

void Rescue::read(cw_io &io, u8 *buf, size_t len, u64 off) {
    int err = -cw_pread(&io, buf, len, off);
    if (err == 0) {
        return;
    }
    if (!is_of_the_medium(err)) {
        throw io_error(io.name, "cannot be read", err);
    }
    if (len > kSector) {
        read_pieces(io, buf, len, off, len > kPage ? kPage : kSector);
        return;
    }
    std::memset(buf, 0, len);
    std::scoped_lock guard(lock_);
    lost_.push_back({off, len});
}

void Rescue::read_pieces(cw_io &io, u8 *buf, size_t len, u64 off, size_t piece) {
    while (len != 0) {
        const size_t part = std::min<size_t>(len, piece - off % piece);
        read(io, buf, part, off);
        buf += part;
        off += part;
        len -= part;
    }
}

std::vector<Rescue::Range> Rescue::lost() const {
    std::scoped_lock guard(lock_);
    std::vector<Range> sorted = lost_;
    std::sort(sorted.begin(), sorted.end(),
              [](const Range &a, const Range &b) { return a.off < b.off; });
    std::vector<Range> joined;
    for (const Range &range : sorted) {
        if (!joined.empty() && joined.back().off + joined.back().len == range.off) {
            joined.back().len += range.len;
        } else {
            joined.push_back(range);
        }
    }
    return joined;
}

}  // namespace cloopw
