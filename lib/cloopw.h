/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The engine for C++. The objects own what they opened. They throw cloopw::Error with the
 * engine's own words.
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

/*
 * Makes an Error of the engine's report; without a text, of name, what and err. err has
 * either sign.
 */
Error error_of(const cw_report &report, int err, const std::string &name,
               const char *what = "cannot be opened");

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
    /* kResume: for writing, by who goes on for a program that has ended; see posix_io.h. */
    enum class Mode { kRead, kReadWrite, kResume };

    /*
     * offset and limit open a window, in bytes; limit 0: to the end. A block device for
     * writing is claimed: nobody else may have it. Throws Error.
     */
    static Io open(const std::string &path, Mode mode, u64 offset = 0, u64 limit = 0);
    /* Takes the descriptor over, also when it throws. */
    static Io adopt(int fd, const std::string &name, u64 offset = 0, u64 limit = 0);
    /* A file in memory with a copy of bytes, which grows up to max bytes. */
    static Io memory(const std::string &name, const std::vector<u8> &bytes = {},
                     u64 max = u64{1} << 40);

    /* An io of another kind, which destroy ends. */
    static Io take(cw_io *io, void (*destroy)(cw_io *)) { return Io(io, destroy); }

    cw_io &get() const { return *io_; }
    const char *name() const { return io_->name; }
    u64 size() const;
    /* -1: neither a file nor a block device of this machine */
    int fd() const { return cw_fd_io_fd(io_.get()); }

    /* All of the range, or Error. write extends a file. */
    void read(void *buf, size_t len, u64 off) const;
    void write(const void *buf, size_t len, u64 off) const;
    void flush() const;

private:
    static Io take_over(const cw_fd_io_config &config);
    explicit Io(cw_io *io, void (*destroy)(cw_io *) = cw_io_destroy) : io_(io, destroy) {}

    std::unique_ptr<cw_io, void (*)(cw_io *)> io_;
};

/* A base image of any format, open for reading. Any thread may read. */
class Image {
public:
    /* format empty: probe. Throws Error with the engine's reason. */
    explicit Image(Io io, const std::string &format = {}, u64 cache_bytes = CW_DEFAULT_CACHE_BYTES);

    u64 size() const { return image_->size; }
    u32 block_size() const { return image_->block_size; }
    const cw_image &info() const { return *image_; }
    const Io &io() const { return io_; }

    /* Bytes behind size() read as zeros. Throws Error for a damaged block. */
    void read(void *buf, u32 len, u64 off) const;

private:
    Io io_;
    std::unique_ptr<cw_cache, CDeleter<cw_cache_destroy>> cache_;
    std::unique_ptr<cw_image, CDeleter<cw_image_close>> image_;
};

/* A base image with COW layers over it, as the driver shows it. */
class Device {
public:
    /* The engine's settings of a device. */
    struct Config {
        std::string format; /* the base's; empty: probe */
        bool read_only = false;
        bool failed = false; /* it has failed in another process, and is only read here */
        u64 cache_bytes = 0; /* 0: the engine's default */
        bool record = false; /* which blocks of the base are read first */
    };

    /* layers: the top first. Takes the ios over. Throws Error with the engine's reason. */
    Device(Io base, std::vector<Io> layers, const Config &config);
    ~Device();
    Device(Device &&) = default;
    Device &operator=(Device &&) = default;

    /*
     * Flushes and closes. Only this reports that the flush failed; the destructor does not.
     */
    void close();

    cw_device_info info() const;
    cw_device_stats stats() const;
    const Io &base() const { return base_; }
    const cw_image &image() const { return *info().image; }
    u64 size() const { return info().size; }

    /* Any thread, any alignment within the device. Each throws Error. */
    void read(void *buf, u32 len, u64 off) const;
    /* The place of the start of a range, and how many bytes of the range have it. */
    struct Span {
        enum class Place { kBase, kLayer, kZero } place;
        u64 len;
    };
    Span block_status(u64 off, u64 len) const;
    /* True when no layer has any of the range. */
    bool untouched(u64 off, u64 len) const;
    /* Block n of the base in its stored form; stored has room for max_stored bytes. */
    cw_extent read_stored(u64 n, void *stored) const;

    void write(const void *buf, u32 len, u64 off);
    void zero(u64 off, u64 len);
    void discard(u64 off, u64 len);
    void flush();

    /* Makes the device longer, which the top layer remembers. Throws Error: nothing changed. */
    void grow(u64 size);

    /* A flush of the top has failed, now or in another process: nothing is written any more. */
    bool has_failed() const;

    /* Throws the content of the top layer away. Durable on return. Throws Error. */
    void reset();

    /*
     * Freezes the top layer and puts this new, empty one over it. Takes layer over. On
     * Error nothing has changed.
     */
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
    bool failed_ = false; /* constant: Config::failed */
};

/* One codec's context at one level, for one thread at a time. */
class Codec {
public:
    /* level < 0: only decompresses. max_len: longest block in bytes. Throws Error. */
    Codec(const cw_codec &codec, int level, u32 max_len);
    ~Codec();
    Codec(const Codec &) = delete;
    Codec &operator=(const Codec &) = delete;

    const cw_codec &info() const { return codec_; }
    /* Returns the length of the result; 0: it does not fit in cap. */
    u32 compress(void *dst, u32 cap, const void *src, u32 len);

private:
    const cw_codec &codec_;
    void *ctx_ = nullptr; /* owned; the codec's own kind */
};

}  // namespace cloopw

#endif
