/* SPDX-License-Identifier: GPL-2.0 */
/* Writes cloop images with the header first. The versions differ in little. */
#ifndef CLOOPW_LIB_CLOOP_WRITER_H
#define CLOOPW_LIB_CLOOP_WRITER_H

#include <string_view>

#include "image_writer.h"

namespace cloopw {

struct CloopVersion {
    /*
     * A script, because images were once executable. Ours only says what it is. Readers
     * look for the version at CW_CLOOP_SIGNATURE_AT.
     */
    std::string_view preamble;
    /* A block that does not shrink is stored uncompressed; otherwise it grows. */
    bool stores_plain;
    /* The bits in the index entry of a block of this codec. */
    u64 (*flags)(u8 codec);
};

/* The preamble of a version, "2.0". */
#define CLOOPW_CLOOP_PREAMBLE(version)                                     \
    "#!/bin/sh\n"                                                          \
    "#V" version                                                           \
    " Format\n"                                                            \
    "echo \"$0: compressed disk image; attach it with cloopwsetup\" >&2\n" \
    "exit 1\n"

/* The row of a version. */
constexpr ImageWriterFormat cloop_writer_format(const char *name, const char *default_codec,
                                                u32 codecs,
                                                decltype(ImageWriterFormat::create) create) {
    return {
        .name = name,
        .default_codec = default_codec,
        .min_block_size = CW_IMAGE_MIN_BLOCK,
        .max_block_size = CW_IMAGE_MAX_BLOCK,
        .block_size_multiple = CW_SECTOR_SIZE,
        .power_of_two = false,
        .has_label = false,
        .any_order = false,
        .copies_from = nullptr,
        .codecs = codecs,
        .create = create,
    };
}

/* Borrows all three. */
std::unique_ptr<ImageWriter> create_cloop_writer(const Io &io, const ImageWriterOptions &options,
                                                 const CloopVersion &version);

}  // namespace cloopw

#endif
