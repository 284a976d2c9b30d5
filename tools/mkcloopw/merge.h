/* SPDX-License-Identifier: GPL-2.0 */
/* Makes one COW file of layers that lie directly over each other. */
#ifndef CLOOPW_MKCLOOPW_MERGE_H
#define CLOOPW_MKCLOOPW_MERGE_H

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "lib/cow/chain.h"
#include "tools/common/table.h"
#include "tools/common/tool.h"

namespace cloopw {

struct MergeJob {
    /* the top first; a single one stands for it and the one below */
    std::vector<std::string> layers;
    std::string image;        /* image below a UML COW file */
    std::string image_format; /* empty: probe */
    std::string output;
    std::optional<std::string> codec; /* none: the upper layer's */
    std::optional<int> level;
    bool force = false;
    bool quiet = false;
    const std::atomic<bool> *cancelled = nullptr;
};

struct MergeResult {
    std::vector<CowLayer> layers; /* the merged layers, the top first */
    std::string below;            /* the file below the new one */
    u64 input_bytes = 0;          /* bytes of the files */
    u64 output_bytes = 0;
    u64 plain_bytes = 0; /* bytes of the device that the new file holds */
    bool frozen = false;
    bool limit_left_out = false; /* the upper layer's limit is too low for all of it */
};

/*
 * Makes a file that shows what the layers show together. It has the settings and the UUID
 * of the upper layer, so that layers over that accept it. It is frozen if the upper layer
 * is, and it lies over the file below the lowest layer. The layers are only read. Throws
 * Error.
 */
MergeResult merge_layers(const MergeJob &job, Streams &streams);

/* The result, as JSON or for people. Sizes are in bytes; seconds: duration of the job. */
Json merge_json(const MergeJob &job, const MergeResult &result, double seconds);
std::string merge_text(const MergeJob &job, const MergeResult &result, double seconds);

}  // namespace cloopw

#endif
