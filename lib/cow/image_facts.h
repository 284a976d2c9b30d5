/* SPDX-License-Identifier: GPL-2.0 */
/* What has to be known of an image before it is attached. */
#ifndef CLOOPW_COW_IMAGE_FACTS_H
#define CLOOPW_COW_IMAGE_FACTS_H

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>

#include "lib/fd.h"

namespace cloopw {

struct ImageFacts {
    Fd fd;                          /* open for reading */
    struct stat st = {};            /* of path */
    std::string format;             /* "raw", "cloop2", "cloopw" */
    uint64_t size = 0;              /* bytes of the decompressed image */
    std::array<uint8_t, 16> uuid{}; /* zeros: it has none */
    uint32_t codecs = 0;            /* CW_CODEC_BIT() of those that occur */
};

/*
 * Opens the file and looks at it with the engine. format: empty, or what it
 * has to be. Throws Error for what cannot be attached.
 */
ImageFacts inspect_image(const std::string &path, const std::string &format, uint64_t offset,
                         uint64_t sizelimit);

bool is_image_format(const std::string &name);
std::string image_format_names(); /* "raw, cloop2, cloopw" */

}  // namespace cloopw

#endif
