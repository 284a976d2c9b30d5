/* SPDX-License-Identifier: GPL-2.0 */
/* A sparse file in memory, and devices with a COW log on it. */
#ifndef CLOOPW_TESTS_CORE_LOG_SUPPORT_H
#define CLOOPW_TESTS_CORE_LOG_SUPPORT_H

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include "lib/cow/log_writer.h"
#include "support/data.h"
#include "support/test_io.h"

namespace cloopw::test {

/*
 * A file with holes on a file system that can be full. Calls that overlap in range and time
 * do not lock each other out. So ThreadSanitizer sees when the engine reads what it is
 * writing.
 */
class SparseIo : private cw_io {
public:
    static constexpr u64 kChunk = u64{64} << 10;
    static constexpr u64 kCapacity = u64{64} << 30;

    explicit SparseIo(std::string file_name, u64 size = 0)
        : cw_io{}, name_(std::move(file_name)), chunks_(kCapacity / kChunk), size_(size) {
        this->ops = &kOps;
        this->name = name_.c_str();
    }
    SparseIo(const SparseIo &) = delete;
    SparseIo &operator=(const SparseIo &) = delete;

    cw_io *get() { return this; }
    u64 size() const { return size_; }
    /* Bytes that are not holes. */
    u64 used() const { return used_; }
    /* Bytes that may not be holes. */
    void set_max(u64 bytes) { max_ = bytes; }
    void set_mtime(s64 modified) { this->mtime = modified; }
    void set_physical_block(u32 bytes) { this->physical_block = bytes; }

    void truncate(u64 bytes) {
        std::unique_lock<std::shared_mutex> hold(lock_);
        for (u64 i = cw_div_up(bytes, kChunk); i < cw_div_up(size_, kChunk); i++) {
            drop(i);
        }
        size_ = bytes;
    }
    /* A test's direct access to the bytes. */
    Bytes bytes(u64 off, u64 len) {
        Bytes out(len);
        if (do_pread(this, out.data(), len, off) != 0) {
            out.clear();
        }
        return out;
    }
    void put(u64 off, const Bytes &data) { do_pwrite(this, data.data(), data.size(), off); }
    /* The state after a crash that loses nothing. */
    void copy_from(SparseIo *other) {
        truncate(0);
        size_ = other->size_.load();
        for (size_t i = 0; i < chunks_.size(); i++) {
            if (other->chunks_[i]) {
                make(i);
                memcpy(chunks_[i].get(), other->chunks_[i].get(), kChunk);
            }
        }
    }

    /* A result other than 0 becomes the call's result. Set them before threads run. */
    std::function<int(u64 off, size_t len)> before_read;
    std::function<int(u64 off, size_t len)> before_write;
    std::function<int()> before_flush;
    std::function<int()> before_allocate;
    std::function<int()> before_punch;
    std::function<int()> before_change; /* any call that is not a read */
    bool can_allocate = true;
    bool can_punch = true;

    std::atomic<u64> writes = 0;
    std::atomic<u64> flushes = 0;
    std::atomic<u64> punches = 0;
    std::atomic<u64> bytes_read = 0;

private:
    static const cw_io_ops kOps;

    static SparseIo &self(cw_io *io) { return *static_cast<SparseIo *>(io); }

    void make(u64 i) {
        if (!chunks_[i]) {
            chunks_[i] = std::make_unique<u8[]>(kChunk);
            used_ += kChunk;
        }
    }
    void drop(u64 i) {
        if (chunks_[i]) {
            chunks_[i].reset();
            used_ -= kChunk;
        }
    }
    /* Allocates a range, or nothing of it. */
    int back(u64 off, u64 len) {
        std::unique_lock<std::shared_mutex> hold(lock_);
        const u64 first = off / kChunk;
        const u64 end = cw_div_up(off + len, kChunk);
        if (end > chunks_.size()) {
            return -EFBIG;
        }
        u64 missing = 0;
        for (u64 i = first; i < end; i++) {
            missing += chunks_[i] ? 0 : kChunk;
        }
        if (missing != 0 && used_ + missing > max_) {
            return -ENOSPC;
        }
        for (u64 i = first; i < end; i++) {
            make(i);
        }
        size_ = std::max<u64>(size_, off + len);
        return 0;
    }
    bool is_backed(u64 off, u64 len) {
        for (u64 i = off / kChunk; i < cw_div_up(off + len, kChunk); i++) {
            if (i >= chunks_.size() || !chunks_[i]) {
                return false;
            }
        }
        return off + len <= size_;
    }

    static int do_pread(cw_io *io, void *buf, size_t len, u64 off) {
        SparseIo &file = self(io);
        if (const int err = file.before_read ? file.before_read(off, len) : 0; err != 0) {
            return err;
        }
        std::shared_lock<std::shared_mutex> hold(file.lock_);
        if (cw_outside(off, len, file.size_)) {
            return -EIO;
        }
        file.bytes_read += len;
        u8 *to = static_cast<u8 *>(buf);
        while (len != 0) {
            const size_t part = std::min<size_t>(len, kChunk - off % kChunk);
            const auto &chunk = file.chunks_[off / kChunk];
            if (chunk) {
                memcpy(to, chunk.get() + off % kChunk, part);
            } else {
                memset(to, 0, part);
            }
            to += part;
            off += part;
            len -= part;
        }
        return 0;
    }
    static int do_pwrite(cw_io *io, const void *buf, size_t len, u64 off) {
        SparseIo &file = self(io);
        file.writes++;
        if (const int err = file.before_change ? file.before_change() : 0; err != 0) {
            return err;
        }
        if (const int err = file.before_write ? file.before_write(off, len) : 0; err != 0) {
            return err;
        }
        {
            std::shared_lock<std::shared_mutex> hold(file.lock_);
            if (file.is_backed(off, len)) {
                file.copy_in(buf, len, off);
                return 0;
            }
        }
        if (const int err = file.back(off, len); err != 0) {
            return err;
        }
        std::shared_lock<std::shared_mutex> hold(file.lock_);
        file.copy_in(buf, len, off);
        return 0;
    }
    void copy_in(const void *buf, size_t len, u64 off) {
        const u8 *from = static_cast<const u8 *>(buf);
        while (len != 0) {
            const size_t part = std::min<size_t>(len, kChunk - off % kChunk);
            memcpy(chunks_[off / kChunk].get() + off % kChunk, from, part);
            from += part;
            off += part;
            len -= part;
        }
    }
    static int do_flush(cw_io *io) {
        SparseIo &file = self(io);
        file.flushes++;
        if (const int err = file.before_change ? file.before_change() : 0; err != 0) {
            return err;
        }
        return file.before_flush ? file.before_flush() : 0;
    }
    static int do_allocate(cw_io *io, u64 off, u64 len) {
        SparseIo &file = self(io);
        if (const int err = file.before_change ? file.before_change() : 0; err != 0) {
            return err;
        }
        if (const int err = file.before_allocate ? file.before_allocate() : 0; err != 0) {
            return err;
        }
        return file.can_allocate ? file.back(off, len) : -EOPNOTSUPP;
    }
    static int do_punch(cw_io *io, u64 off, u64 len) {
        SparseIo &file = self(io);
        if (const int err = file.before_change ? file.before_change() : 0; err != 0) {
            return err;
        }
        if (const int err = file.before_punch ? file.before_punch() : 0; err != 0) {
            return err;
        }
        if (!file.can_punch) {
            return -EOPNOTSUPP;
        }
        file.punches++;
        std::unique_lock<std::shared_mutex> hold(file.lock_);
        for (u64 i = off / kChunk; i < (off + len) / kChunk; i++) {
            file.drop(i);
        }
        return 0;
    }
    static int do_size(cw_io *io, u64 *size) {
        *size = self(io).size_;
        return 0;
    }
    static int do_capacity(cw_io *io, u64 *bytes) {
        *bytes = self(io).max_;
        return *bytes == kCapacity ? -EOPNOTSUPP : 0;
    }

    std::string name_;
    mutable std::shared_mutex lock_; /* guards the table of chunks */
    std::vector<std::unique_ptr<u8[]>> chunks_;
    std::atomic<u64> size_;
    std::atomic<u64> used_ = 0;
    std::atomic<u64> max_ = kCapacity;
};

inline const cw_io_ops SparseIo::kOps = {
    .pread = do_pread,
    .pread_two = nullptr,
    .will_read = nullptr,
    .distrust = nullptr,
    .pwrite = do_pwrite,
    .flush = do_flush,
    .allocate = do_allocate,
    .punch = do_punch,
    .size = do_size,
    .capacity = do_capacity,
    .next_data = nullptr,
};

/* Makes the file an empty log. */
inline void make_log(SparseIo *io, const LogCowConfig &config) {
    auto super = std::make_unique<cw_disk_log_super>();
    encode_log_super(super.get(), config);
    const u8 *raw = reinterpret_cast<const u8 *>(super.get());
    io->truncate(0);
    io->put(0, Bytes(raw, raw + sizeof(*super)));
    io->truncate(kLogCowEmptyLen);
}

inline LogCowConfig log_config(u64 size, const std::string &codec = "lz4") {
    LogCowConfig config;
    config.size = size;
    config.codec = codec;
    config.parent = "/images/base.img";
    return config;
}

/* A device that ends with the test: layers over a base, the top first. */
class LogDevice {
public:
    LogDevice(cw_io *base, std::vector<cw_io *> layers, bool read_only = false) {
        const cw_device_config config = {
            .base = base,
            .format = nullptr,
            .layers = layers.data(),
            .nr_layers = static_cast<u32>(layers.size()),
            .read_only = read_only,
            .record = false,
            .cache_bytes = u64{1} << 20,
            .cache_budget = nullptr,
        };
        err_ = cw_device_open(&config, &device_, &report_);
    }
    ~LogDevice() { (void)cw_device_close(device_); }
    LogDevice(const LogDevice &) = delete;
    LogDevice &operator=(const LogDevice &) = delete;

    int err() const { return err_; }
    std::string why() const { return report_.text; }
    cw_device *get() const { return device_; }

    int write(u64 off, const Bytes &bytes) const {
        return cw_device_write(device_, off, static_cast<u32>(bytes.size()), bytes.data());
    }
    int zero(u64 off, u64 len) const { return cw_device_zero(device_, off, len); }
    int discard(u64 off, u64 len) const { return cw_device_discard(device_, off, len); }
    int flush() const { return cw_device_flush(device_); }
    /* A failed read gives no bytes. */
    Bytes read(u64 off, u32 len) const {
        Bytes out(len, 0xa5);
        if (cw_device_read(device_, off, len, out.data()) != 0) {
            out.clear();
        }
        return out;
    }
    cw_cow_space space() const {
        cw_cow_space space;
        cw_device_get_space(device_, &space);
        return space;
    }
    u64 available() const {
        const cw_cow_space now = space();
        return cw_cow_available(&now, cw_device_capacity(device_));
    }
    cw_cow_stat stat() const {
        cw_device_stats stats;
        cw_device_get_stats(device_, &stats);
        return stats.cow;
    }
    int close() {
        cw_device *device = device_;
        device_ = nullptr;
        return cw_device_close(device);
    }

private:
    cw_device *device_ = nullptr;
    cw_report report_ = {};
    int err_;
};

/* The expected content of a device: its bytes, and those of the layer below. */
class Model {
public:
    explicit Model(Bytes base) : base_(base), now_(std::move(base)) {}

    u64 size() const { return now_.size(); }
    const Bytes &bytes() const { return now_; }
    Bytes bytes(u64 off, u64 len) const { return slice(now_, off, len); }
    void write(u64 off, const Bytes &data) {
        std::copy(data.begin(), data.end(), now_.begin() + static_cast<std::ptrdiff_t>(off));
    }
    void zero(u64 off, u64 len) {
        std::fill_n(now_.begin() + static_cast<std::ptrdiff_t>(off), len, u8{0});
    }
    /* Whole pages show the layer below again; parts of pages stay. */
    void discard(u64 off, u64 len) {
        const u64 first = cw_round_up(off, CW_PAGE_SIZE);
        const u64 end = (off + len) & ~u64{CW_PAGE_SIZE - 1};
        for (u64 i = first; i < end; i++) {
            now_[i] = base_[i];
        }
    }

private:
    Bytes base_;
    Bytes now_;
};

/* A random mix of pages that shrink, pages that do not, and pages of zeros. */
inline Bytes mixed_bytes(std::mt19937 *random, size_t len) {
    Bytes bytes;
    while (bytes.size() < len) {
        const size_t part = std::min<size_t>(len - bytes.size(), 1 + (*random)() % 20000);
        Bytes more;
        switch ((*random)() % 4) {
            case 0:
                more = random_bytes(part, (*random)());
                break;
            case 1:
                more = Bytes(part);
                break;
            default:
                more = text_bytes(part, (*random)());
        }
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
    return bytes;
}

}  // namespace cloopw::test

#endif
