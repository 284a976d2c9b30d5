// SPDX-License-Identifier: GPL-2.0
#include "support/test_io.h"

#include <mutex>
#include <utility>

namespace cloopw::test {

const cw_io_ops TestIo::kOps = {
    .pread = do_pread,
    .pread_two = nullptr,
    .will_read = do_will_read,
    .distrust = do_distrust,
    .pwrite = do_pwrite,
    .flush = do_flush,
    .allocate = nullptr,
    .punch = do_punch,
    .size = do_size,
    .capacity = nullptr,
    .next_data = do_next_data,
};

TestIo::TestIo(std::string file_name, Bytes content, s64 modified)
    : cw_io{}, name_(std::move(file_name)), content_(std::move(content)) {
    this->ops = &kOps;
    this->name = name_.c_str();
    this->mtime = modified;
}

Bytes TestIo::content() const {
    std::shared_lock<std::shared_mutex> hold(lock_);
    return content_;
}

void TestIo::set_content(Bytes content) {
    std::unique_lock<std::shared_mutex> hold(lock_);
    content_ = std::move(content);
}

int TestIo::do_pread(cw_io *io, void *buf, size_t len, u64 off) {
    TestIo &file = self(io);
    int err = file.before_read ? file.before_read(off, len) : 0;
    if (err != 0) {
        return err;
    }
    std::shared_lock<std::shared_mutex> hold(file.lock_);
    if (cw_outside(off, len, file.content_.size())) {
        return -EIO;
    }
    if (len != 0) {
        memcpy(buf, file.content_.data() + off, len);
    }
    return 0;
}

void TestIo::do_will_read(cw_io *io, u64 off, u64 len) {
    TestIo &file = self(io);
    std::unique_lock<std::shared_mutex> hold(file.lock_);
    file.hints_.push_back({off, len});
}

bool TestIo::do_distrust(cw_io *io, u64 off, u64 len) {
    TestIo &file = self(io);
    return file.distrusted && file.distrusted(off, len);
}

u64 TestIo::do_next_data(cw_io *io, u64 off) {
    TestIo &file = self(io);
    return file.data_from ? file.data_from(off) : off;
}

int TestIo::do_pwrite(cw_io *io, const void *buf, size_t len, u64 off) {
    TestIo &file = self(io);
    int err = file.before_write ? file.before_write(off, len) : 0;
    if (err != 0) {
        return err;
    }
    const u8 *data = static_cast<const u8 *>(buf);
    std::unique_lock<std::shared_mutex> hold(file.lock_);
    apply_write(&file.content_, off, data, len);
    if (file.recording_) {
        file.calls_.push_back({Call::Kind::kWrite, off, Bytes(data, data + len)});
    }
    return 0;
}

int TestIo::do_flush(cw_io *io) {
    TestIo &file = self(io);
    int err = file.before_flush ? file.before_flush() : 0;
    if (err != 0) {
        return err;
    }
    std::unique_lock<std::shared_mutex> hold(file.lock_);
    if (file.recording_) {
        file.calls_.push_back({Call::Kind::kFlush, 0, {}});
    }
    return 0;
}

int TestIo::do_punch(cw_io *, u64, u64) { return -EOPNOTSUPP; }

int TestIo::do_size(cw_io *io, u64 *size) {
    TestIo &file = self(io);
    std::shared_lock<std::shared_mutex> hold(file.lock_);
    *size = file.content_.size();
    return 0;
}

void apply_write(Bytes *file, u64 off, const u8 *data, size_t len) {
    if (file->size() < off + len) {
        file->resize(off + len);
    }
    if (len != 0) {
        memcpy(file->data() + off, data, len);
    }
}

}  // namespace cloopw::test
