/* SPDX-License-Identifier: GPL-2.0 */
/* Appending to a file through one buffer, and looking back at what is there. */
#ifndef CLOOPW_LIB_APPEND_STREAM_H
#define CLOOPW_LIB_APPEND_STREAM_H

#include <vector>

#include "lib/cloopw.h"

namespace cloopw {

/* One thread. The io is borrowed. */
class AppendStream {
public:
    /* start: where the first byte goes */
    AppendStream(const Io &io, u64 start) : io_(io), end_(start), started_(start) {
        buffer_.reserve(kBufferLen);
    }

    /* Where the next byte goes. */
    u64 end() const { return end_; }

    /* Returns where the bytes begin. */
    u64 append(const void *bytes, size_t len);

    /* Are these the bytes at off? What is not written yet is looked at too. */
    bool equals(u64 off, const void *bytes, size_t len);

    /* Writes what is buffered; does not flush the file. */
    void write_out();

private:
    void start_write_back(u64 end);

    static constexpr size_t kBufferLen = 1 << 18;
    static constexpr u64 kWriteBackLen = 8 << 20;

    const Io &io_;
    u64 end_;
    u64 started_;             /* before it the kernel was told to write to the disk */
    std::vector<u8> buffer_;  /* the bytes before end_ */
    std::vector<u8> scratch_; /* for equals */
};

/*
 * Writes zeros behind a file's last byte up to a whole page, so that a loop device or a
 * disk with large sectors shows all of it, and returns where the file ends then. A device
 * has its own end and is left alone.
 */
u64 pad_to_page(const Io &io, u64 end);

}  // namespace cloopw

#endif
