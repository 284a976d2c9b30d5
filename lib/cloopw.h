/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine for C++: objects that own what they opened and throw
 * cloopw::Error with the engine's own words.
 */
#ifndef CLOOPW_LIB_CLOOPW_H
#define CLOOPW_LIB_CLOOPW_H

#include <memory>
#include <string>
#include <vector>

#include "core.h"
#include "error.h"
#include "lib/port/posix_io.h"

namespace cloopw {

template <auto Destroy>
struct CDeleter {
    template <typename T>
    void operator()(T *p) const {
        Destroy(p);
    }
};

/* A file, a block device, or memory that behaves like a file. */
class Io {
public:
    enum class Mode { kRead, kReadWrite };

    /*
     * offset and limit open a window; limit 0: to the end. A block device to be
     * written is had alone.
     */
    static Io open(const std::string &path, Mode mode, u64 offset = 0, u64 limit = 0);
    /* Takes the descriptor over, also when it throws. */
    static Io adopt(int fd, const std::string &name, u64 offset = 0, u64 limit = 0);
    static Io memory(const std::string &name, const std::vector<u8> &bytes = {},
                     u64 max = u64{1} << 40);

    cw_io &get() const { return *io_; }
    const char *name() const { return io_->name; }
    u64 size() const;
    /* -1 for memory */
    int fd() const { return cw_fd_io_fd(io_.get()); }

    void read(void *buf, size_t len, u64 off) const;
    void write(const void *buf, size_t len, u64 off) const;
    void flush() const;

private:
    explicit Io(cw_io *io) : io_(io) {}

    std::unique_ptr<cw_io, CDeleter<cw_io_destroy>> io_;
};

/* A base image of any format, open for reading. Any thread may read. */
class Image {
public:
    /* format empty: look at the file */
    explicit Image(Io io, const std::string &format = {}, u64 cache_bytes = CW_DEFAULT_CACHE_BYTES);

    u64 size() const { return image_->size; }
    u32 block_size() const { return image_->block_size; }
    const cw_image &info() const { return *image_; }
    const Io &io() const { return io_; }

    /* What lies behind size() reads as zeros. */
    void read(void *buf, u32 len, u64 off) const;

private:
    Io io_;
    std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>> cache_;
    std::unique_ptr<cw_image, CDeleter<cw_image_close>> image_;
};

/* A base image with COW layers over it, as the driver would show it. */
class Device {
public:
    /* layers: the top first */
    struct Config {
        std::string format; /* of the base; empty: look at it */
        bool read_only = false;
        u64 cache_bytes = 0; /* 0: the engine's default */
    };

    Device(Io base, std::vector<Io> layers, const Config &config);
    ~Device();
    Device(Device &&) = default;
    Device &operator=(Device &&) = default;

    /* Flushes and closes; the only way to learn that the flush failed. */
    void close();

    cw_device_info info() const;
    cw_device_stats stats() const;
    const Io &base() const { return base_; }
    const cw_image &image() const { return *info().image; }
    u64 size() const { return info().size; }

    /* Any thread, any alignment within the device. */
    void read(void *buf, u32 len, u64 off) const;
    /* Where the start of a range is, and how far. */
    struct Span {
        enum class Place { kBase, kLayer, kZero } place;
        u64 len;
    };
    Span where(u64 off, u64 len) const;
    /* True when no layer has any of it. */
    bool untouched(u64 off, u64 len) const;
    /* Block n of the base as it is stored there; room for max_stored bytes. */
    cw_extent read_stored(u64 n, void *stored) const;

    void write(const void *buf, u32 len, u64 off);
    void zero(u64 off, u64 len);
    void discard(u64 off, u64 len);
    void flush();

    /* Freezes the top layer and puts this one, empty and made for that, over it. */
    void snapshot(Io layer);

    /* The engine's own object, for calls that return -errno. */
    cw_device &get() const { return *device_; }

private:
    struct Closer {
        void operator()(cw_device *device) const { (void)cw_device_close(device); }
    };

    Io base_;
    std::vector<Io> layers_;
    std::unique_ptr<cw_device, Closer> device_;
};

/* One codec's context at one level: for one thread at a time. */
class Codec {
public:
    Codec(const cw_codec &codec, int level, u32 max_len);
    ~Codec();
    Codec(const Codec &) = delete;
    Codec &operator=(const Codec &) = delete;

    const cw_codec &info() const { return codec_; }
    /* Length of the result; 0: does not fit in cap. */
    u32 compress(void *dst, u32 cap, const void *src, u32 len);

private:
    const cw_codec &codec_;
    void *ctx_ = nullptr; /* owned; the codec's own kind */
};

}  // namespace cloopw

#endif
