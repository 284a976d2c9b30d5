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
    .preamble = CLOOPW_CLOOP_PREAMBLE("4.0"),
    .stores_plain = true,
    .flags = flags,
};
static_assert(kVersion.preamble.size() < CW_CLOOP_PREAMBLE_LEN);

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return create_cloop_writer(io, options, kVersion);
}

}  // namespace

const ImageWriterFormat image_writer_cloop4 = cloop_writer_format(
    "cloop4", "xz",
    CW_CODEC_BIT(CW_CODEC_ZLIB) | CW_CODEC_BIT(CW_CODEC_NONE) | CW_CODEC_BIT(CW_CODEC_XZ) |
        CW_CODEC_BIT(CW_CODEC_LZ4) | CW_CODEC_BIT(CW_CODEC_LZO),
    create);

}  // namespace cloopw
