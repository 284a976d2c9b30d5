/* SPDX-License-Identifier: GPL-2.0 */
/* The source of the blocks of a new image. */
#ifndef CLOOPW_MKCLOOPW_SOURCE_H
#define CLOOPW_MKCLOOPW_SOURCE_H

#include <atomic>
#include <memory>
#include <optional>

#include "input.h"
#include "lib/image/image_writer.h"

namespace cloopw {

class Source {
public:
    virtual ~Source() = default;

    /* In bytes, if known beforehand; never 0. */
    virtual std::optional<u64> size() const = 0;

    /*
     * One thread at a time, in order where the size is not known. Sets plain_len and zero
     * of the block with this number, and makes room in plain. False: there is no such
     * block.
     */
    virtual bool claim(Block &block) = 0;

    /*
     * Any thread. Fills plain unless zero is set, or stored if the block is copied. Throws
     * Error.
     */
    virtual void fill(Block &block) = 0;
};

struct SourceOptions {
    u32 block_size = 0;
    bool copy = false; /* take over stored blocks of the base that no layer covers */
    const std::atomic<bool> *cancelled = nullptr;
};

/*
 * All threads read files and block devices at once, and skip their holes; one thread reads
 * a stream. The input is borrowed.
 */
std::unique_ptr<Source> make_source(const Input &input, const SourceOptions &options);

}  // namespace cloopw

#endif
