// SPDX-License-Identifier: GPL-2.0
#include "block_recorder.h"

#include <algorithm>
#include <exception>

namespace cloopw {

BlockRecorder::BlockRecorder(cw_image &image)
    : image_(image), began_(std::chrono::steady_clock::now()) {
    reads_.reserve(std::min<u64>(kMost, image.blocks));
    seen_.reserve(reads_.capacity());
    image_.on_read_arg = this;
    image_.on_read = note;
}

BlockRecorder::~BlockRecorder() { image_.on_read = nullptr; }

void BlockRecorder::note(void *self, u64 block) {
    auto &recorder = *static_cast<BlockRecorder *>(self);
    const auto since = std::chrono::steady_clock::now() - recorder.began_;
    const std::lock_guard guard(recorder.lock_);
    if (recorder.reads_.size() == recorder.reads_.capacity()) {
        return;
    }
    try {
        if (recorder.seen_.insert(block).second) {
            const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
            recorder.reads_.push_back({block, static_cast<u32>(std::min<s64>(ms, UINT32_MAX))});
        }
    } catch (const std::exception &) { /* the engine is C: the record lacks the block */
    }
}

std::vector<BlockRecorder::FirstRead> BlockRecorder::reads(size_t from, size_t most) const {
    const std::lock_guard guard(lock_);
    const size_t begin = std::min(from, reads_.size());
    const size_t end = std::min(reads_.size(), begin + most);
    return {reads_.begin() + static_cast<std::ptrdiff_t>(begin),
            reads_.begin() + static_cast<std::ptrdiff_t>(end)};
}

}  // namespace cloopw
