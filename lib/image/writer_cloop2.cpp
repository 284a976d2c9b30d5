// SPDX-License-Identifier: GPL-2.0
/* cloop V2.0: zlib streams. */
#include "cloop_writer.h"

namespace cloopw {

namespace {

u64 flags(u8) { return 0; }

constexpr CloopVersion kVersion = {
    .preamble =
        "#!/bin/sh\n"
        "#V2.0 Format\n"
        "echo \"$0: compressed disk image; attach it with cloopwsetup\" >&2\n"
        "exit 1\n",
    .stores_plain = false,
    .flags = flags,
};
static_assert(kVersion.preamble.size() < CW_CLOOP_PREAMBLE_LEN);

std::unique_ptr<ImageWriter> create(const Io &io, const ImageWriterOptions &options) {
    return create_cloop_writer(io, options, kVersion);
}

}  // namespace

const ImageWriterFormat image_writer_cloop2 = {
    .name = "cloop2",
    .default_codec = "zlib",
    .min_block_size = CW_IMAGE_MIN_BLOCK,
    .max_block_size = CW_IMAGE_MAX_BLOCK,
    .block_size_multiple = CW_SECTOR_SIZE,
    .power_of_two = false,
    .has_label = false,
    .any_order = false,
    .copies_from = nullptr,
    .codecs = CW_CODEC_BIT(CW_CODEC_ZLIB),
    .create = create,
};

}  // namespace cloopw
