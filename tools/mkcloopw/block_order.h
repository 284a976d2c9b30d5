/* SPDX-License-Identifier: GPL-2.0 */
/* In which order the blocks of an image are stored. */
#ifndef CLOOPW_MKCLOOPW_BLOCK_ORDER_H
#define CLOOPW_MKCLOOPW_BLOCK_ORDER_H

#include <string>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* Those of a list first, the others behind them in the order of their numbers. */
class BlockOrder {
public:
    BlockOrder() = default;
    /*
     * The list in a file: a number a line; empty lines and what follows a # do
     * not count, a number that comes again neither. Throws Error for what is
     * no number of one of the blocks.
     */
    static BlockOrder read(const std::string &path, u64 blocks);

    /* The next block's number. Without end: who asks knows how many there are. */
    u64 next();

private:
    std::vector<u64> first_;
    std::vector<u64> sorted_; /* the same */
    size_t taken_ = 0;        /* of first_ */
    size_t passed_ = 0;       /* of sorted_ */
    u64 next_ = 0;            /* that is not before it in the image, or passed_ over */
};

}  // namespace cloopw

#endif
