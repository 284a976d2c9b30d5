// SPDX-License-Identifier: GPL-2.0
#include "file_image.h"

#include <algorithm>
#include <cstring>

namespace cloopw::crash {

const Image::Block *Image::find(u64 n) const {
    for (const Image *image = this; image != nullptr; image = image->below_) {
        const u64 at = n - image->zero_blocks_; /* wraps where zeros are */
        if (at < image->blocks_.size() && image->blocks_[at]) {
            return image->blocks_[at].get();
        }
    }
    return nullptr;
}

u8 *Image::own(u64 n) {
    const u64 at = n - zero_blocks_;
    if (at >= blocks_.size()) {
        blocks_.resize(at + 1 + at / 2);
    }
    if (!blocks_[at]) {
        const Block *now = find(n);
        blocks_[at] = now != nullptr ? std::make_unique<Block>(*now) : std::make_unique<Block>();
    }
    return blocks_[at]->data();
}

bool Image::read(u64 off, void *buf, u64 len) const {
    if (cw_outside(off, len, size_)) {
        return false;
    }
    u8 *to = static_cast<u8 *>(buf);
    while (len != 0) {
        const u64 part = std::min(len, kBlock - off % kBlock);
        const Block *block = find(off / kBlock);
        if (block != nullptr) {
            memcpy(to, block->data() + off % kBlock, part);
        } else {
            memset(to, 0, part);
        }
        to += part;
        off += part;
        len -= part;
    }
    return true;
}

void Image::write(u64 off, const void *buf, u64 len) {
    const u8 *from = static_cast<const u8 *>(buf);
    extend(off + len);
    while (len != 0) {
        const u64 part = std::min(len, kBlock - off % kBlock);
        memcpy(own(off / kBlock) + off % kBlock, from, part);
        from += part;
        off += part;
        len -= part;
    }
}

void Image::punch(u64 off, u64 len) {
    len = std::min(len, size_ - std::min(size_, off));
    while (len != 0) {
        const u64 part = std::min(len, kBlock - off % kBlock);
        if (find(off / kBlock) != nullptr) {
            memset(own(off / kBlock) + off % kBlock, 0, part);
        }
        off += part;
        len -= part;
    }
}

}  // namespace cloopw::crash
