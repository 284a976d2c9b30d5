/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the readable part of a bad medium. */
#ifndef CLOOPW_MKCLOOPW_RESCUE_H
#define CLOOPW_MKCLOOPW_RESCUE_H

#include <mutex>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

class Rescue {
public:
    struct Range {
        u64 off, len;
        bool operator==(const Range &) const = default;
    };

    /*
     * Any thread. A part that fails is read again in small pieces, and unreadable pieces
     * become zeros. Throws Error for errors that are not the medium's.
     */
    void read(cw_io &io, u8 *buf, size_t len, u64 off);

    /* The unreadable ranges so far, in bytes, sorted and joined. Any thread. */
    std::vector<Range> lost() const;

private:
    void read_pieces(cw_io &io, u8 *buf, size_t len, u64 off, size_t piece);

    mutable std::mutex lock_; /* guards what follows */
    std::vector<Range> lost_;
};

}  // namespace cloopw

#endif
