// SPDX-License-Identifier: GPL-2.0
/* cloop V2.0: zlib streams. */
#include "cloop_writer.h"

namespace cloopw {

namespace {

u64 flags(u8) { return 0; }

constexpr CloopVersion kVersion = {
    .preamble = CLOOPW_CLOOP_PREAMBLE("2.0"),
    .stores_plain = false,
    .flags = flags,
};
static_assert(kVersion.preamble.size() < CW_CLOOP_PREAMBLE_LEN);

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return create_cloop_writer(io, options, kVersion);
}

}  // namespace

const ImageWriterFormat image_writer_cloop2 =
    cloop_writer_format("cloop2", "zlib", CW_CODEC_BIT(CW_CODEC_ZLIB), create);

}  // namespace cloopw
