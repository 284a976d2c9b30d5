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

/* Borrows all three. */
std::unique_ptr<ImageWriter> create_cloop_writer(const Io &io, const ImageWriterOptions &options,
                                                 const CloopVersion &version);

}  // namespace cloopw

#endif
