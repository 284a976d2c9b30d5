/* SPDX-License-Identifier: GPL-2.0 */
/* Images made by the library's writers, in memory and in one thread. */
#ifndef CLOOPW_TESTS_MAKE_IMAGE_H
#define CLOOPW_TESTS_MAKE_IMAGE_H

#include <algorithm>
#include <string>

#include "lib/image/image_writer.h"
#include "support/test_io.h"

namespace cloopw::test {

inline ImageWriterOptions writer_options(const char *codec, u32 block_size = 4096) {
    ImageWriterOptions options;
    options.codec = cw_codec_by_name(codec);
    options.level = options.codec->default_level;
    options.block_size = block_size;
    return options;
}

/* Feeds all of plain; the caller finishes. */
inline void feed(ImageWriter &writer, const ImageWriterOptions &options, const Bytes &plain) {
    Codec codec(*options.codec, options.level, options.block_size);
    Block block;
    for (size_t off = 0; off < plain.size(); off += options.block_size) {
        block.number = off / options.block_size;
        block.plain.resize(options.block_size);
        block.plain_len =
            static_cast<u32>(std::min<size_t>(options.block_size, plain.size() - off));
        block.zero = false;
        std::copy_n(plain.begin() + static_cast<std::ptrdiff_t>(off), block.plain_len,
                    block.plain.begin());
        writer.encode(codec, block);
        writer.append(block);
    }
}

inline Bytes bytes_of(const Io &io) {
    Bytes bytes(io.size());
    io.read(bytes.data(), bytes.size(), 0);
    return bytes;
}

struct MadeImage {
    Bytes file;
    ImageWriterStats stats;
    Uuid uuid;
};

inline MadeImage make_image(const ImageWriterFormat &format, const ImageWriterOptions &options,
                            const Bytes &plain) {
    Io io = Io::memory("image");
    auto writer = format.create(io, options);
    feed(*writer, options, plain);
    writer->finish();
    return {bytes_of(io), writer->stats(), writer->uuid()};
}

/* The whole content of an image, read by the engine. */
inline Bytes read_image(const Bytes &file) {
    Image image(Io::memory("image", file));
    Bytes plain(image.size());
    image.read(plain.data(), static_cast<u32>(plain.size()), 0);
    return plain;
}

}  // namespace cloopw::test

#endif
