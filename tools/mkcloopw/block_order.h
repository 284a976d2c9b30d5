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
 * The blocks of lists come first, and the others follow in the order of their numbers. A
 * list may name every block of any image. So files keep it, not memory.
 *
 * With several lists, the blocks that most of them name come first. Among these, the block
 * that is nearest to the beginning of one of the lists comes first.
 */
class BlockOrder {
public:
    BlockOrder() = default;
    /*
     * Reads the lists: a number a line. Empty lines, the rest after a #, and repeated numbers
     * do not count. A line "# blocks of N bytes", which cloopwsetup --record writes, tells
     * the size of the blocks of a list; block_size without it. blocks: how many the image
     * has. Throws Error for a line that is no number of one of the blocks.
     */
    static BlockOrder read(const std::vector<std::string> &paths, u64 blocks, u32 block_size);

    /*
     * The next block's number. It has no end: the caller knows how many blocks there are.
     */
    u64 next();

    /* How many blocks the lists name. */
    u64 listed() const { return listed_; }

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

    /* Numbers in their order, each once. */
    class List {
    public:
        List();
        bool add(u64 number); /* false: it is there already */
        bool has(u64 number);
        u64 at(u64 n);
        u64 size() const { return size_; }

    private:
        PagedFile numbers_;
        PagedFile set_; /* the same numbers, a bit a block */
        u64 size_ = 0;
    };
    class Reader;

    static List merge(std::vector<List> &lists);

    std::optional<List> list_;
    u64 listed_ = 0;
    u64 taken_ = 0; /* taken from the list */
    u64 next_ = 0;  /* no number below it is left, but for listed ones */
};

}  // namespace cloopw

#endif
