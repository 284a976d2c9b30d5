/* SPDX-License-Identifier: GPL-2.0 */
/* Appends to a file through one buffer, and compares with bytes already there. */
#ifndef CLOOPW_LIB_APPEND_STREAM_H
#define CLOOPW_LIB_APPEND_STREAM_H

#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* For one thread. The io is borrowed. */
class AppendStream {
public:
    /* start: place of the first byte */
    AppendStream(const Io &io, u64 start) : io_(io), end_(start), started_(start) {
        buffer_.reserve(kBufferLen);
    }

    /* The place of the next byte. */
    u64 end() const { return end_; }

    /* Returns the place of the first of these bytes. */
    u64 append(const void *bytes, size_t len);

    /* Are these the bytes at off? Bytes in the buffer count, too. */
    bool equals(u64 off, const void *bytes, size_t len);

    /* Writes the buffer to the file; does not flush the file. */
    void write_out();

private:
    void start_write_back(u64 end);

    static constexpr size_t kBufferLen = 1 << 18;
    static constexpr u64 kWriteBackLen = 8 << 20;

    const Io &io_;
    u64 end_;
    u64 started_;             /* the kernel was told to write back all before it */
    std::vector<u8> buffer_;  /* the bytes before end_ */
    std::vector<u8> scratch_; /* for equals */
};

/*
 * Writes zeros behind a file's last byte up to a whole page. So a loop device or a disk
 * with large sectors shows all of it. Returns the new end. A device has its own end and
 * stays unchanged.
 */
u64 pad_to_page(const Io &io, u64 end);

}  // namespace cloopw

#endif
