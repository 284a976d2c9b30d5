/* SPDX-License-Identifier: GPL-2.0 */
/* The order in which the blocks of an image are stored. */
#ifndef CLOOPW_MKCLOOPW_BLOCK_ORDER_H
#define CLOOPW_MKCLOOPW_BLOCK_ORDER_H

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * The blocks of a list come first, and the others follow in the order of their numbers. The
 * list may name every block of any image. So files keep it, not memory.
 */
class BlockOrder {
public:
    BlockOrder() = default;
    /*
     * Reads a list: a number a line. Empty lines, the rest after a #, and repeated numbers
     * do not count. Throws Error for a line that is no number of one of the blocks.
     */
    static BlockOrder read(const std::string &path, u64 blocks);

    /*
     * The next block's number. It has no end: the caller knows how many blocks there are.
     */
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
        u64 end_ = 0; /* bytes written so far */
        u64 off_ = UINT64_MAX;
        bool changed_ = false;
        std::vector<u8> page_;
    };

    bool set_listed(u64 number);
    bool is_listed(u64 number);

    std::optional<PagedFile> list_; /* numbers, in their order */
    std::optional<PagedFile> set_;  /* the same numbers, a bit a block */
    u64 listed_ = 0;
    u64 taken_ = 0; /* taken from the list */
    u64 next_ = 0;  /* no number below it is left, but for listed ones */
};

}  // namespace cloopw

#endif
