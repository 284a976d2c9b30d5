/* SPDX-License-Identifier: GPL-2.0 */
/* In which order the blocks of an image are stored. */
#ifndef CLOOPW_MKCLOOPW_BLOCK_ORDER_H
#define CLOOPW_MKCLOOPW_BLOCK_ORDER_H

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * Those of a list first, the others behind them in the order of their numbers.
 * The list may name every block of any image, so it is kept in files, not in
 * memory.
 */
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
    /* A file of records that is read and written through one page. */
    class PagedFile {
    public:
        explicit PagedFile(Io io) : io_(std::move(io)), page_(kPageLen) {}
        u8 *at(u64 off, bool change);

    private:
        static constexpr u64 kPageLen = 4096;

        Io io_;
        u64 end_ = 0; /* of what was written */
        u64 off_ = UINT64_MAX;
        bool changed_ = false;
        std::vector<u8> page_;
    };

    bool set_listed(u64 number);
    bool is_listed(u64 number);

    std::optional<PagedFile> list_; /* numbers, in their order */
    std::optional<PagedFile> set_;  /* the same, a bit a block */
    u64 listed_ = 0;
    u64 taken_ = 0; /* of the list */
    u64 next_ = 0;  /* block that is not before it in the image */
};

}  // namespace cloopw

#endif
