/* SPDX-License-Identifier: GPL-2.0 */
/* Where the bytes of a new image come from. */
#ifndef CLOOPW_MKCLOOPW_SOURCE_H
#define CLOOPW_MKCLOOPW_SOURCE_H

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "lib/image_writer.h"

namespace cloopw {

class Source {
public:
    virtual ~Source() = default;

    /* Bytes, when they are known beforehand; never 0. */
    virtual std::optional<u64> size() const = 0;

    /*
     * In order, one thread at a time: sets block n's plain_len and zero, and
     * makes room in plain. false: the end.
     */
    virtual bool claim(u64 n, Block &block) = 0;

    /* Any thread: fills plain unless zero is set. */
    virtual void fill(u64 n, Block &block) = 0;
};

struct SourceOptions {
    std::string path;   /* "-": in_fd */
    std::string format; /* of the input; empty: look at it */
    int in_fd = -1;
    u32 block_size = 0;
    const std::atomic<bool> *cancelled = nullptr;
};

/*
 * Files and block devices of any readable format are read from all threads at
 * once, holes are skipped; pipes from one. Throws Error for what cannot be
 * read or is empty.
 */
std::unique_ptr<Source> open_source(const SourceOptions &options);

}  // namespace cloopw

#endif
