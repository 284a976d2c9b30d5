// SPDX-License-Identifier: GPL-2.0
#include "cloopw.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>

#include "open_data.h"

namespace cloopw {

Error error_of(const cw_report &report, int err, const std::string &name, const char *what) {
    return report.text[0] != '\0' ? Error(report.text, std::abs(err), report.code)
                                  : io_error(name, what, err);
}

namespace {

void check(int err, const char *name, const char *what) {
    if (err != 0) {
        throw io_error(name, what, err);
    }
}

void check_at(int err, const char *name, const char *what, u64 off) {
    if (err != 0) {
        throw io_error(name, std::string(what) + " at byte " + std::to_string(off), err);
    }
}

/*
 * A block device for writing is claimed, as file systems do: mkfs and the like get EBUSY. A
 * present holder may be about to end, so it gets a moment. For files O_EXCL alone means
 * nothing.
 */
int open_alone(const std::string &path) {
    constexpr std::chrono::milliseconds kStep(20);
    constexpr int kSteps = 50;
    for (int i = 0;; i++) {
        const int fd = open_data(path, O_RDWR | O_EXCL);
        if (fd >= 0 || errno != EBUSY || i == kSteps) {
            return fd;
        }
        std::this_thread::sleep_for(kStep);
    }
}

const cw_image_format *find_format(const std::string &name) {
    if (name.empty()) {
        return nullptr;
    }
    const cw_image_format *format = cw_image_format_by_name(name.c_str());
    if (format == nullptr) {
        throw Error("no image format '" + name + "'", EINVAL);
    }
    return format;
}

/* err of open_data(), or of cw_fd_io_create(). */
Error not_opened(const std::string &name, int err) {
    switch (err) {
        case EISDIR:
            return Error(name + ": is a directory", EISDIR);
        case EINVAL:
            return Error(name + ": is neither a file nor a block device", EINVAL);
        default:
            return io_error(name, "cannot be opened", err,
                            err == EBUSY ? "it is mounted, or another program or device uses it; "
                                           "'lsblk' and 'lsof' tell which"
                                         : "");
    }
}

}  // namespace

Io Io::open(const std::string &path, Mode mode, u64 offset, u64 limit) {
    const int fd = mode == Mode::kRead ? open_data(path, O_RDONLY) : open_alone(path);
    if (fd < 0) {
        throw not_opened(path, errno);
    }
    return take_over({fd, path.c_str(), offset, limit, mode == Mode::kResume});
}

Io Io::adopt(int fd, const std::string &name, u64 offset, u64 limit) {
    return take_over({fd, name.c_str(), offset, limit, false});
}

Io Io::take_over(const cw_fd_io_config &config) {
    const std::string name = config.name;
    cw_io *io = nullptr;
    int err = cw_fd_io_create(&config, &io);
    if (err == 0) {
        return Io(io);
    }
    ::close(config.fd);
    throw not_opened(name, -err);
}

Io Io::memory(const std::string &name, const std::vector<u8> &bytes, u64 max) {
    cw_io *io = nullptr;
    int err = cw_mem_io_create(name.c_str(), bytes.data(), bytes.size(), max, &io);
    check(err, name.c_str(), "cannot be made");
    return Io(io);
}

u64 Io::size() const {
    u64 size = 0;
    check(cw_size(io_.get(), &size), name(), "its size cannot be told");
    return size;
}

void Io::read(void *buf, size_t len, u64 off) const {
    check_at(cw_pread(io_.get(), buf, len, off), name(), "cannot be read", off);
}

void Io::write(const void *buf, size_t len, u64 off) const {
    check_at(cw_pwrite(io_.get(), buf, len, off), name(), "cannot be written", off);
}

void Io::flush() const { check(cw_flush(io_.get()), name(), "cannot be flushed"); }

Image::Image(Io io, const std::string &format, u64 cache_bytes)
    : io_(std::move(io)), cache_(cw_cache_create(cache_bytes)) {
    if (!cache_) {
        throw std::bad_alloc();
    }
    cw_image *image = nullptr;
    cw_report report = {};
    int err = cw_image_open(&io_.get(), cache_.get(), find_format(format), &image, &report);
    if (err != 0) {
        throw error_of(report, err, io_.name());
    }
    image_.reset(image);
}

void Image::read(void *buf, u32 len, u64 off) const {
    check_at(cw_image_read(image_.get(), off, len, buf), io_.name(), "cannot be read", off);
}

Device::Device(Io base, std::vector<Io> layers, const Config &config)
    : base_(std::move(base)), layers_(std::move(layers)), failed_(config.failed) {
    std::vector<cw_io *> ios;
    ios.reserve(layers_.size());
    for (const Io &layer : layers_) {
        ios.push_back(&layer.get());
    }
    cw_device_config c = {};
    c.base = &base_.get();
    c.format = find_format(config.format);
    c.layers = ios.data();
    c.nr_layers = static_cast<u32>(ios.size());
    c.read_only = config.read_only || config.failed;
    c.cache_bytes = config.cache_bytes;
    c.record = config.record;

    cw_device *device = nullptr;
    cw_report report = {};
    int err = cw_device_open(&c, &device, &report);
    if (err != 0) {
        throw error_of(report, err, base_.name());
    }
    device_.reset(device);
}

Device::~Device() = default;

void Device::close() {
    check(cw_device_close(device_.release()), base_.name(), "cannot be flushed");
}

cw_device_info Device::info() const {
    cw_device_info info = {};
    cw_device_get_info(device_.get(), &info);
    return info;
}

cw_device_stats Device::stats() const {
    cw_device_stats stats = {};
    cw_device_get_stats(device_.get(), &stats);
    return stats;
}

void Device::read(void *buf, u32 len, u64 off) const {
    check_at(cw_device_read(device_.get(), off, len, buf), base_.name(), "cannot be read", off);
}

Device::Span Device::block_status(u64 off, u64 len) const {
    u64 n = 0;
    int place = cw_device_block_status(device_.get(), off, len, &n);
    check_at(place < 0 ? place : 0, base_.name(), "cannot be read", off);
    switch (place) {
        case CW_COW_MISS:
            return {Span::Place::kBase, n};
        case CW_COW_ZERO:
            return {Span::Place::kZero, n};
        default:
            return {Span::Place::kLayer, n};
    }
}

bool Device::untouched(u64 off, u64 len) const {
    while (len != 0) {
        Span span = block_status(off, len);
        if (span.place != Span::Place::kBase) {
            return false;
        }
        off += span.len;
        len -= span.len;
    }
    return true;
}

cw_extent Device::read_stored(u64 n, void *stored) const {
    cw_extent extent = {};
    auto *image = const_cast<cw_image *>(&this->image()); /* the engine counts errors in it */
    check_at(cw_image_read_stored(image, n, &extent, stored), base_.name(), "cannot be read",
             n * image->block_size);
    return extent;
}

void Device::write(const void *buf, u32 len, u64 off) {
    check_at(cw_device_write(device_.get(), off, len, buf), base_.name(), "cannot be written", off);
}

void Device::zero(u64 off, u64 len) {
    check_at(cw_device_zero(device_.get(), off, len), base_.name(), "cannot be zeroed", off);
}

void Device::discard(u64 off, u64 len) {
    check_at(cw_device_discard(device_.get(), off, len), base_.name(), "cannot be discarded", off);
}

void Device::flush() { check(cw_device_flush(device_.get()), base_.name(), "cannot be flushed"); }

void Device::grow(u64 size) {
    cw_report report = {};
    const int err = cw_device_resize(device_.get(), size, &report);
    if (err != 0) {
        throw error_of(report, err, base_.name(), "cannot grow");
    }
}

bool Device::has_failed() const {
    cw_cow_space space = {};
    cw_device_get_space(device_.get(), &space);
    return failed_ || space.state == CW_COW_FAILED;
}

void Device::reset() {
    cw_report report = {};
    const int err = cw_device_reset(device_.get(), &report);
    if (err != 0) {
        throw error_of(report, err, base_.name(), "cannot be reset");
    }
}

void Device::snapshot(Io layer) {
    cw_report report = {};
    layers_.reserve(layers_.size() + 1);
    int err = cw_device_snapshot(device_.get(), &layer.get(), &report);
    if (err != 0) {
        throw error_of(report, err, layer.name());
    }
    layers_.push_back(std::move(layer));
}

Codec::Codec(const cw_codec &codec, int level, u32 max_len) : codec_(codec) {
    check(codec.create(&ctx_, level, max_len), codec.name, "cannot be set up");
}

Codec::~Codec() { codec_.destroy(ctx_); }

u32 Codec::compress(void *dst, u32 cap, const void *src, u32 len) {
    int result = codec_.compress(ctx_, dst, cap, src, len);
    if (result < 0) {
        throw io_error(codec_.name, "cannot compress", result);
    }
    return static_cast<u32>(result);
}

}  // namespace cloopw
