// SPDX-License-Identifier: GPL-2.0
#include "append_stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

namespace cloopw {

u64 AppendStream::append(const void *bytes, size_t len) {
    u64 at = end_;
    if (buffer_.size() + len > kBufferLen) {
        write_out();
    }
    if (len >= kBufferLen) {
        io_.write(bytes, len, at);
        start_write_back(at + len);
    } else {
        const u8 *from = static_cast<const u8 *>(bytes);
        buffer_.insert(buffer_.end(), from, from + len);
    }
    end_ += len;
    return at;
}

bool AppendStream::equals(u64 off, const void *bytes, size_t len) {
    u64 written = end_ - buffer_.size();
    if (off >= written) {
        return std::memcmp(buffer_.data() + (off - written), bytes, len) == 0;
    }
    if (off + len > written) {
        write_out();
    }
    if (scratch_.size() < len) {
        scratch_.resize(len);
    }
    io_.read(scratch_.data(), len, off);
    return std::memcmp(scratch_.data(), bytes, len) == 0;
}

void AppendStream::write_out() {
    if (!buffer_.empty()) {
        io_.write(buffer_.data(), buffer_.size(), end_ - buffer_.size());
        buffer_.clear();
        start_write_back(end_);
    }
}

/*
 * The disk can work while we compress, so that the last flush finds little to do. Only a
 * hint: the flush reports errors.
 */
void AppendStream::start_write_back(u64 end) {
    if (io_.fd() < 0 || end - started_ < kWriteBackLen) {
        return;
    }
    (void)sync_file_range(io_.fd(), static_cast<off_t>(started_),
                          static_cast<off_t>(end - started_), SYNC_FILE_RANGE_WRITE);
    started_ = end;
}

u64 pad_to_page(const Io &io, u64 end) {
    static constexpr std::array<u8, CW_PAGE_SIZE> kZeros = {};
    struct stat st = {};
    if (io.fd() >= 0 && fstat(io.fd(), &st) == 0 && S_ISBLK(st.st_mode)) {
        return end;
    }
    u64 padded = cw_div_up(end, CW_PAGE_SIZE) * CW_PAGE_SIZE;
    if (padded != end) {
        io.write(kZeros.data(), padded - end, end);
    }
    return padded;
}

}  // namespace cloopw
