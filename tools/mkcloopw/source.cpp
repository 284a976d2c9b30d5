// SPDX-License-Identifier: GPL-2.0
#include "source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tools/common/error.h"

namespace cloopw {

namespace {

void make_room(Block &block, u32 block_size) {
    if (block.plain.size() < block_size) {
        block.plain.resize(block_size);
    }
}

class ImageSource : public Source {
public:
    ImageSource(Image image, u32 block_size) : image_(std::move(image)), block_size_(block_size) {
        /* Holes of the file are holes of the image only where they are the same bytes. */
        can_seek_data_ = image_.info().format == &cw_image_raw;
        if (image_.io().fd() >= 0) {
            (void)posix_fadvise(image_.io().fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
        }
    }

    std::optional<u64> size() const override { return image_.size(); }
    bool claim(u64 n, Block &block) override;
    void fill(u64 n, Block &block) override;

private:
    void find_data(u64 off);

    const Image image_;
    const u32 block_size_;
    bool can_seek_data_;
    /* The last stretch of data that was found: before it is a hole. */
    u64 data_begin_ = 0;
    u64 data_end_ = 0;
};

/* Finds the first stretch of data that ends behind off. */
void ImageSource::find_data(u64 off) {
    int fd = image_.io().fd();
    off_t begin = lseek(fd, static_cast<off_t>(off), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) {
        data_begin_ = data_end_ = image_.size(); /* a hole to the end */
        return;
    }
    off_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
    if (end < 0) {
        can_seek_data_ = false;
        return;
    }
    data_begin_ = static_cast<u64>(begin);
    data_end_ = static_cast<u64>(end);
}

bool ImageSource::claim(u64 n, Block &block) {
    u64 off = n * block_size_;
    if (off >= image_.size()) {
        return false;
    }
    block.plain_len = static_cast<u32>(cw_min(block_size_, image_.size() - off));
    block.zero = false;
    make_room(block, block_size_);
    if (can_seek_data_ && off >= data_end_ && data_end_ < image_.size()) {
        find_data(off);
    }
    if (can_seek_data_) {
        block.zero = off + block.plain_len <= data_begin_;
    }
    return true;
}

void ImageSource::fill(u64 n, Block &block) {
    if (!block.zero) {
        image_.read(block.plain.data(), block.plain_len, n * block_size_);
    }
}

class StreamSource : public Source {
public:
    StreamSource(int fd, bool owned, const SourceOptions &options)
        : fd_(fd), owned_(owned), options_(options) {
        (void)fcntl(fd_, F_SETPIPE_SZ, 1 << 20);
    }

    ~StreamSource() override {
        if (owned_) {
            ::close(fd_);
        }
    }

    StreamSource(const StreamSource &) = delete;
    StreamSource &operator=(const StreamSource &) = delete;

    std::optional<u64> size() const override { return {}; }
    bool claim(u64 n, Block &block) override;
    void fill(u64 /*n*/, Block & /*block*/) override {}

private:
    size_t read_some(u8 *buf, size_t len);

    int fd_;
    bool owned_;
    const SourceOptions options_;
};

/* Returns 0 at the end. A writer that never writes must not keep us from ending. */
size_t StreamSource::read_some(u8 *buf, size_t len) {
    for (;;) {
        if (options_.cancelled != nullptr && *options_.cancelled) {
            throw Error("interrupted", EINTR);
        }
        struct pollfd ready = {fd_, POLLIN, 0};
        if (poll(&ready, 1, 100) == 0) {
            continue;
        }
        ssize_t n = ::read(fd_, buf, len);
        if (n >= 0) {
            return static_cast<size_t>(n);
        }
        if (errno != EINTR && errno != EAGAIN) {
            throw io_error(options_.path == "-" ? "standard input" : options_.path,
                           "cannot be read", errno);
        }
    }
}

bool StreamSource::claim(u64 n, Block &block) {
    make_room(block, options_.block_size);
    block.zero = false;
    block.plain_len = 0;
    while (block.plain_len < options_.block_size) {
        size_t got =
            read_some(block.plain.data() + block.plain_len, options_.block_size - block.plain_len);
        if (got == 0) {
            break;
        }
        block.plain_len += static_cast<u32>(got);
    }
    if (n == 0 && block.plain_len == 0) {
        throw Error((options_.path == "-" ? "standard input" : options_.path) +
                    ": is empty; there is nothing to make an image of");
    }
    return block.plain_len != 0;
}

std::unique_ptr<Source> open_path(const SourceOptions &options) {
    int fd = ::open(options.path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        throw io_error(options.path, "cannot be opened", errno);
    }
    struct stat st = {};
    if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
        return std::make_unique<StreamSource>(fd, true, options);
    }
    if (S_ISDIR(st.st_mode)) {
        ::close(fd);
        throw Error(options.path +
                        ": is a directory; make a file system image of it first, for example "
                        "with mke2fs -d",
                    EISDIR);
    }
    Io io = Io::adopt(fd, options.path);
    if (io.size() == 0) {
        throw Error(options.path + ": is empty; there is nothing to make an image of", EINVAL);
    }
    return std::make_unique<ImageSource>(Image(std::move(io), options.format), options.block_size);
}

}  // namespace

std::unique_ptr<Source> open_source(const SourceOptions &options) {
    if (options.path == "-") {
        return std::make_unique<StreamSource>(options.in_fd, false, options);
    }
    return open_path(options);
}

}  // namespace cloopw
