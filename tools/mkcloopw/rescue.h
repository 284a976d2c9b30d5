/* SPDX-License-Identifier: GPL-2.0 */
/* Reads what can be read of a bad medium. */
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
     * Any thread. What cannot be read is zeros: what fails as a whole is read again in
     * small pieces. Throws Error when it is not the medium that fails.
     */
    void read(cw_io &io, u8 *buf, size_t len, u64 off);

    /* Sorted and joined. */
    std::vector<Range> lost() const;

private:
    void read_pieces(cw_io &io, u8 *buf, size_t len, u64 off, size_t piece);

    mutable std::mutex lock_; /* guards what follows */
    std::vector<Range> lost_;
};

}  // namespace cloopw

#endif
