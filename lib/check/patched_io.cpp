// SPDX-License-Identifier: GPL-2.0
#include "patched_io.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace cloopw {

namespace {

int refuse_write(cw_io * /*io*/, const void * /*buf*/, size_t /*len*/, u64 /*off*/) {
    return -EROFS;
}

int refuse_flush(cw_io * /*io*/) { return -EROFS; }

int refuse_range(cw_io * /*io*/, u64 /*off*/, u64 /*len*/) { return -EROFS; }

}  // namespace

const cw_io_ops PatchedIo::kOps = {
    .pread = do_pread,
    .pread_two = nullptr,
    .will_read = nullptr,
    .distrust = nullptr,
    .pwrite = refuse_write,
    .flush = refuse_flush,
    .allocate = refuse_range,
    .punch = refuse_range,
    .size = do_size,
    .capacity = nullptr,
    .next_data = nullptr,
};

PatchedIo::PatchedIo(cw_io &below) : cw_io{}, below_(below) {
    this->ops = &kOps;
    this->name = below.name;
    this->mtime = below.mtime;
    this->whole_pages = below.whole_pages;
}

void PatchedIo::patch(u64 off, const void *bytes, size_t len) {
    const u8 *first = static_cast<const u8 *>(bytes);
    patches_[off].assign(first, first + len);
}

int PatchedIo::do_pread(cw_io *io, void *buf, size_t len, u64 off) {
    PatchedIo &file = self(io);
    int err = cw_pread(&file.below_, buf, len, off);
    u8 *to = static_cast<u8 *>(buf);
    for (const auto &[at, bytes] : file.patches_) {
        u64 begin = std::max(at, off);
        u64 end = std::min(at + bytes.size(), off + len);
        if (begin < end) {
            memcpy(to + (begin - off), bytes.data() + (begin - at), end - begin);
            /* A patch that covers all of it makes it readable. */
            err = end - begin == len ? 0 : err;
        }
    }
    return err;
}

int PatchedIo::do_size(cw_io *io, u64 *size) {
    PatchedIo &file = self(io);
    if (file.claimed_ == 0) {
        return cw_size(&file.below_, size);
    }
    *size = file.claimed_;
    return 0;
}

}  // namespace cloopw
