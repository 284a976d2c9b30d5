/* SPDX-License-Identifier: GPL-2.0 */
/* Facts about an image that a tool needs before the attach. */
#ifndef CLOOPW_COW_IMAGE_FACTS_H
#define CLOOPW_COW_IMAGE_FACTS_H

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/cloopw.h"
#include "lib/fd.h"

namespace cloopw {

struct ImageFacts {
    Fd fd;                          /* open for reading; -1: the image is at a URL */
    std::optional<Io> remote;       /* set for an image at a URL; keeps its version open */
    struct stat st = {};            /* stat of path; at a URL: the time alone, if any */
    std::string format;             /* "raw", "cloop2", "cloopw" */
    uint64_t size = 0;              /* bytes of the decompressed image */
    std::array<uint8_t, 16> uuid{}; /* zeros: it has none */
    uint64_t digest = 0;            /* digest of its content; 0: the format has none */
    uint32_t codecs = 0;            /* CW_CODEC_BIT()s that occur */
};

/*
 * Opens the file, device or URL and probes it with the engine. format: the required one;
 * empty: any. offset and sizelimit are in bytes; sizelimit 0: all. Throws Error for a file
 * that cannot be attached.
 */
ImageFacts inspect_image(const std::string &path, const std::string &format, uint64_t offset,
                         uint64_t sizelimit);

}  // namespace cloopw

#endif
