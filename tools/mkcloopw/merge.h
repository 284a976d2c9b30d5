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
    std::vector<std::string> layers; /* the top first; one: it and the one below */
    std::string image;               /* below a UML COW file */
    std::string image_format;        /* empty: look at it */
    std::string output;
    std::optional<std::string> codec; /* else those of the upper one */
    std::optional<int> level;
    bool force = false;
    bool quiet = false;
    const std::atomic<bool> *cancelled = nullptr;
};

struct MergeResult {
    std::vector<CowLayer> layers; /* that were merged, the top first */
    std::string below;            /* what the new one lies over */
    u64 input_bytes = 0;          /* of the files */
    u64 output_bytes = 0;
    u64 plain_bytes = 0; /* of the device that the new one holds */
    bool frozen = false;
    bool limit_left_out = false; /* the upper one's is too low for all of it */
};

/*
 * The new file shows what the layers show together. It has the upper one's
 * UUID, so that layers over that find it, its settings, and is frozen if that
 * is; it lies over what the lowest lies over. The files that are read stay.
 */
MergeResult merge_layers(const MergeJob &job, Streams &streams);

Json merge_json(const MergeJob &job, const MergeResult &result, double seconds);
std::string merge_text(const MergeJob &job, const MergeResult &result, double seconds);

}  // namespace cloopw

#endif
