/* SPDX-License-Identifier: GPL-2.0 */
/* The holes of a sparse file, so that nobody reads terabytes of nothing. */
#ifndef CLOOPW_LIB_HOLES_H
#define CLOOPW_LIB_HOLES_H

#include "cloopw.h"

namespace cloopw {

/* The holes of a file up to a size. For one thread; quick from the front to the back. */
class Holes {
public:
    /* fd is borrowed. -1, or a file that cannot tell: there are no holes. */
    Holes(int fd, u64 size) : fd_(fd), size_(size), known_(fd >= 0) {}

    /* How many bytes from off on lie in one hole; 0: there is data. */
    u64 at(u64 off) {
        if (known_ && (off < looked_from_ || off >= data_end_)) {
            find_data(off);
        }
        return known_ && off < data_begin_ ? data_begin_ - off : 0;
    }

    bool covers(u64 off, u64 len) { return at(off) >= len; } /* is all of it in one hole? */

private:
    /* Finds the first stretch of data that ends behind off. */
    void find_data(u64 off);

    int fd_;
    u64 size_;
    bool known_;
    /* From looked_from_ to data_begin_ is a hole. */
    u64 looked_from_ = 0;
    u64 data_begin_ = 0;
    u64 data_end_ = 0;
};

}  // namespace cloopw

#endif
