// SPDX-License-Identifier: GPL-2.0
#include "source.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "lib/file_kind.h"
#include "lib/holes.h"

namespace cloopw {

namespace {

void make_room(std::vector<u8> &buffer, u32 len) {
    if (buffer.size() < len) {
        buffer.resize(len);
    }
}

/* Holes of the file are holes of the image only where they are the same bytes. */
Holes holes_of(const Input &input) {
    const cw_image &image = input.device().image();
    const bool raw = image.format == &cw_image_raw;
    return Holes(raw ? input.medium().fd() : -1, image.size);
}

class DeviceSource : public Source {
public:
    DeviceSource(const Input &input, const SourceOptions &options)
        : device_(input.device()),
          rescue_(input.rescue()),
          medium_(input.medium()),
          size_(input.size()),
          layered_(input.has_layers()),
          options_(options),
          holes_(holes_of(input)) {
        if (medium_.fd() >= 0) {
            (void)posix_fadvise(medium_.fd(), 0, 0, POSIX_FADV_SEQUENTIAL);
        }
    }

    std::optional<u64> size() const override { return size_; }
    bool claim(Block &block) override;
    void fill(Block &block) override;

private:
    u64 offset(const Block &block) const { return block.number * options_.block_size; }
    bool is_base(const Block &block) const;
    void copy(Block &block);

    const Device &device_;
    Rescue *const rescue_; /* or nullptr */
    const Io &medium_;
    const u64 size_;
    const bool layered_;
    const SourceOptions options_;
    Holes holes_;
};

bool DeviceSource::claim(Block &block) {
    u64 off = offset(block);
    if (off >= size_) {
        return false;
    }
    block.plain_len = static_cast<u32>(cw_min(options_.block_size, size_ - off));
    block.zero = holes_.covers(off, block.plain_len);
    block.copied = false;
    make_room(block.plain, options_.block_size);
    return true;
}

bool DeviceSource::is_base(const Block &block) const {
    return !layered_ || device_.untouched(offset(block), block.plain_len);
}

/* Takes over the stored block of the base. */
void DeviceSource::copy(Block &block) {
    make_room(block.stored, device_.image().max_stored);
    cw_extent extent = device_.read_stored(block.number, block.stored.data());
    block.stored_len = extent.stored;
    block.codec = extent.codec;
    block.crc = extent.crc;
    block.copied = extent.stored != 0;
    block.zero = extent.stored == 0;
}

void DeviceSource::fill(Block &block) {
    bool base = (block.zero || options_.copy) && is_base(block);
    if (base && block.zero) {
        return; /* a hole, and no layer has anything there */
    }
    block.zero = false;
    if (rescue_ != nullptr) {
        rescue_->read(medium_.get(), block.plain.data(), block.plain_len, offset(block));
        return;
    }
    const cw_image &image = device_.image();
    if (base && block.number < image.blocks &&
        block.plain_len == cw_image_block_len(&image, block.number)) {
        copy(block);
    } else {
        device_.read(block.plain.data(), block.plain_len, offset(block));
    }
}

class StreamSource : public Source {
public:
    StreamSource(const Input &input, const SourceOptions &options)
        : input_(input), options_(options) {
        (void)fcntl(input_.stream_fd(), F_SETPIPE_SZ, 1 << 20);
    }

    std::optional<u64> size() const override { return {}; }
    bool claim(Block &block) override;
    void fill(Block & /*block*/) override {}

private:
    size_t read_some(u8 *buf, size_t len);
    void check_first(const Block &block) const;

    const Input &input_;
    const SourceOptions options_;
};

/* Returns 0 at the end. A writer that never writes must not keep us from ending. */
size_t StreamSource::read_some(u8 *buf, size_t len) {
    for (;;) {
        if (options_.cancelled != nullptr && *options_.cancelled) {
            throw Error("interrupted", EINTR);
        }
        struct pollfd ready = {input_.stream_fd(), POLLIN, 0};
        if (poll(&ready, 1, 100) == 0) {
            continue;
        }
        ssize_t n = ::read(input_.stream_fd(), buf, len);
        if (n >= 0) {
            return static_cast<size_t>(n);
        }
        if (errno != EINTR && errno != EAGAIN) {
            throw io_error(input_.name(), "cannot be read", errno);
        }
    }
}

/* The beginning of a stream tells its kind. */
void StreamSource::check_first(const Block &block) const {
    if (block.plain_len == 0) {
        throw Error(input_.name() + ": is empty; there is nothing to make an image of");
    }
    if (input_.is_said_to_be()) {
        return;
    }
    const Io head = Io::memory(
        input_.name(), std::vector<u8>(block.plain.begin(), block.plain.begin() + block.plain_len));
    if (const std::string format = image_kind(head); !format.empty()) {
        throw Error(input_.name() + ": is an image of format " + format +
                        ", which is read in any order; name a file",
                    EINVAL);
    }
    refuse_unlikely_raw(head, "-I raw");
}

bool StreamSource::claim(Block &block) {
    make_room(block.plain, options_.block_size);
    block.zero = false;
    block.copied = false;
    block.plain_len = 0;
    while (block.plain_len < options_.block_size) {
        size_t got =
            read_some(block.plain.data() + block.plain_len, options_.block_size - block.plain_len);
        if (got == 0) {
            break;
        }
        block.plain_len += static_cast<u32>(got);
    }
    if (block.number == 0) {
        check_first(block);
    }
    return block.plain_len != 0;
}

}  // namespace

std::unique_ptr<Source> make_source(const Input &input, const SourceOptions &options) {
    if (input.is_stream()) {
        return std::make_unique<StreamSource>(input, options);
    }
    return std::make_unique<DeviceSource>(input, options);
}

}  // namespace cloopw
