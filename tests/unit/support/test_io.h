/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A backing file in memory for tests. It records writes, and fails when the test says so.
 */
#ifndef CLOOPW_TESTS_TEST_IO_H
#define CLOOPW_TESTS_TEST_IO_H

#include <functional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "lib/core.h"

namespace cloopw::test {

using Bytes = std::vector<u8>;

class TestIo : private cw_io {
public:
    /* One call that changes the file or makes it durable. */
    struct Call {
        enum class Kind { kWrite, kFlush } kind;
        u64 off;
        Bytes data;
    };

    explicit TestIo(std::string file_name, Bytes content = {}, s64 modified = 0);
    TestIo(const TestIo &) = delete;
    TestIo &operator=(const TestIo &) = delete;

    cw_io *get() { return this; }
    Bytes content() const;
    void set_content(Bytes content);

    /*
     * Called before each call. A result other than 0 becomes the call's result, and the
     * file stays unchanged. Set them before threads run.
     */
    std::function<int(u64 off, size_t len)> before_read;
    std::function<int(u64 off, size_t len)> before_write;
    std::function<int()> before_flush;

    /* Answers distrust(); empty: there is no other source. */
    std::function<bool(u64 off, u64 len)> distrusted;

    /* Where data begins, at off or behind it; empty: at off. */
    std::function<u64(u64 off)> data_from;

    /* The ranges of its will_read calls, in their order. */
    struct Range {
        u64 off, len;
        bool operator==(const Range &) const = default;
    };
    const std::vector<Range> &hints() const { return hints_; }

    /* The calls recorded since start_recording(). Not while calls run. */
    void start_recording() { recording_ = true; }
    const std::vector<Call> &calls() const { return calls_; }

private:
    static const cw_io_ops kOps;

    static TestIo &self(cw_io *io) { return *static_cast<TestIo *>(io); }
    static int do_pread(cw_io *io, void *buf, size_t len, u64 off);
    static void do_will_read(cw_io *io, u64 off, u64 len);
    static bool do_distrust(cw_io *io, u64 off, u64 len);
    static int do_pwrite(cw_io *io, const void *buf, size_t len, u64 off);
    static int do_flush(cw_io *io);
    static int do_punch(cw_io *io, u64 off, u64 len);
    static int do_size(cw_io *io, u64 *size);
    static u64 do_next_data(cw_io *io, u64 off);

    std::string name_;
    mutable std::shared_mutex lock_; /* guards what follows */
    Bytes content_;
    bool recording_ = false;
    std::vector<Call> calls_;
    std::vector<Range> hints_;
};

/* Applies a change to a file's bytes, like a file system. */
void apply_write(Bytes *file, u64 off, const u8 *data, size_t len);

}  // namespace cloopw::test

#endif
