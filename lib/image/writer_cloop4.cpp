// SPDX-License-Identifier: GPL-2.0
/* cloop V4.0: each block has its codec, in the top bits of its offset. */
#include "cloop_writer.h"

namespace cloopw {

namespace {

u64 flags_of(u8 codec) {
    switch (codec) {
        case CW_CODEC_ZLIB:
            return CW_CLOOP4_ZLIB;
        case CW_CODEC_XZ:
            return CW_CLOOP4_XZ;
        case CW_CODEC_LZ4:
            return CW_CLOOP4_LZ4;
        case CW_CODEC_LZO:
            return CW_CLOOP4_LZO;
        default:
            return CW_CLOOP4_NONE;
    }
}

u64 flags(u8 codec) { return flags_of(codec) << CW_CLOOP4_OFFSET_BITS; }

constexpr CloopVersion kVersion = {
    .preamble =
        "#!/bin/sh\n"
        "#V4.0 Format\n"
        "echo \"$0: compressed disk image; attach it with cloopwsetup\" >&2\n"
        "exit 1\n",
    .stores_plain = true,
    .flags = flags,
};
static_assert(kVersion.preamble.size() < CW_CLOOP_PREAMBLE_LEN);

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return create_cloop_writer(io, options, kVersion);
}

}  // namespace

const ImageWriterFormat image_writer_cloop4 = {
    .name = "cloop4",
    .default_codec = "xz",
    .min_block_size = CW_IMAGE_MIN_BLOCK,
    .max_block_size = CW_IMAGE_MAX_BLOCK,
    .block_size_multiple = CW_SECTOR_SIZE,
    .power_of_two = false,
    .has_label = false,
    .any_order = false,
    .copies_from = nullptr,
    .codecs = CW_CODEC_BIT(CW_CODEC_ZLIB) | CW_CODEC_BIT(CW_CODEC_NONE) |
              CW_CODEC_BIT(CW_CODEC_XZ) | CW_CODEC_BIT(CW_CODEC_LZ4) | CW_CODEC_BIT(CW_CODEC_LZO),
    .create = create,
};

}  // namespace cloopw
