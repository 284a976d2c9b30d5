/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The content of a file, as its difference from another file. So a crash image costs only
 * what was not flushed, never a copy of the file.
 */
#ifndef CLOOPW_TESTS_CRASH_FILE_IMAGE_H
#define CLOOPW_TESTS_CRASH_FILE_IMAGE_H

#include <array>
#include <memory>
#include <vector>

#include "lib/core.h"

namespace cloopw::crash {

using Bytes = std::vector<u8>;

class Image {
public:
    static constexpr u64 kBlock = 4096;

    /* An empty file, or one like below until it is written. below stays unchanged. */
    explicit Image(const Image *below = nullptr)
        : below_(below), size_(below != nullptr ? below->size_ : 0) {}
    Image(const Image &) = delete;
    Image &operator=(const Image &) = delete;

    u64 size() const { return size_; }
    /* Before the first write: so many bytes at the beginning are zeros for good. */
    void begin_with_zeros(u64 len) {
        zero_blocks_ = len / kBlock;
        size_ = len;
    }
    const Image *below() const { return below_; }
    void extend(u64 size) { size_ = cw_max(size_, size); }
    /* False: the file ends before. */
    bool read(u64 off, void *buf, u64 len) const;
    void write(u64 off, const void *buf, u64 len);
    /* Writes zeros where the file has data. The file keeps its size. */
    void punch(u64 off, u64 len);

private:
    using Block = std::array<u8, kBlock>;

    const Block *find(u64 n) const;
    u8 *own(u64 n);

    const Image *below_;
    u64 size_;
    u64 zero_blocks_ = 0;
    std::vector<std::unique_ptr<Block>> blocks_; /* behind these; null: the block of below */
};

/* The files of a device's layers, the lowest first. */
class Files {
public:
    static constexpr u32 kCount = 3;

    Files() = default;
    explicit Files(const Files *below)
        : image_{Image(&below->image_[0]), Image(&below->image_[1]), Image(&below->image_[2])} {}

    Image &operator[](u32 n) { return image_[n]; }
    const Image &operator[](u32 n) const { return image_[n]; }

private:
    std::array<Image, kCount> image_;
};

}  // namespace cloopw::crash

#endif
