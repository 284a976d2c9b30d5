/* SPDX-License-Identifier: GPL-2.0 */
/* The blocks of an image in the order of their first read: mkcloopw --order takes them. */
#ifndef CLOOPW_LIB_BLOCK_RECORDER_H
#define CLOOPW_LIB_BLOCK_RECORDER_H

#include <chrono>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "core.h"

namespace cloopw {

class BlockRecorder {
public:
    struct FirstRead {
        u64 block;
        u32 ms; /* since the recorder was made */
    };
    /* The first so many are kept: a boot reads fewer, and memory is bounded. */
    static constexpr size_t kMost = size_t{1} << 16;

    /* The image tells it of its reads from now on, and outlives it. No thread reads yet. */
    explicit BlockRecorder(cw_image &image);
    BlockRecorder(const BlockRecorder &) = delete;
    BlockRecorder &operator=(const BlockRecorder &) = delete;
    ~BlockRecorder();

    /* Skips from reads, and returns most of the next at most. Any thread. */
    std::vector<FirstRead> reads(size_t from, size_t most) const;

private:
    static void note(void *self, u64 block);

    cw_image &image_;
    const std::chrono::steady_clock::time_point began_;
    mutable std::mutex lock_;
    std::unordered_set<u64> seen_; /* lock_; the blocks of reads_ */
    std::vector<FirstRead> reads_; /* lock_ */
};

}  // namespace cloopw

#endif
