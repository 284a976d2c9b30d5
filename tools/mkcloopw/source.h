/* SPDX-License-Identifier: GPL-2.0 */
/* Where the blocks of a new image come from. */
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

    /* Bytes, when they are known beforehand; never 0. */
    virtual std::optional<u64> size() const = 0;

    /*
     * One thread at a time; in order where the size is not known. Sets
     * plain_len and zero of the block with this number, and makes room in
     * plain. false: there is no such block.
     */
    virtual bool claim(Block &block) = 0;

    /* Any thread: fills plain unless zero is set, or stored if it is copied. */
    virtual void fill(Block &block) = 0;
};

struct SourceOptions {
    u32 block_size = 0;
    bool copy = false; /* blocks of the base that no layer has, as they are stored */
    const std::atomic<bool> *cancelled = nullptr;
};

/*
 * Files and block devices are read from all threads at once, their holes are
 * skipped; streams from one. The input is borrowed.
 */
std::unique_ptr<Source> make_source(const Input &input, const SourceOptions &options);

}  // namespace cloopw

#endif
