/* SPDX-License-Identifier: GPL-2.0 */
/* Writes what is readable of a damaged file into a new one. */
#ifndef CLOOPW_CLOOPWCK_SALVAGE_H
#define CLOOPW_CLOOPWCK_SALVAGE_H

#include <string>

#include "lib/check/check.h"
#include "lib/check/salvage.h"

namespace cloopw {

struct SalvageJob {
    std::string path;
    bool is_cow = false;
    /* Of a COW: what is below it, for one that does not say it any more; or empty. */
    std::string below;
    bool below_is_cow = false;
    std::string above;  /* the layer that lies over it and knows its UUID; or empty */
    std::string format; /* of the image, this one or the one below; empty: look at it */
    std::string output;
    bool force = false;     /* replace it */
    bool past_gaps = false; /* of a COW log: records behind a gap are used, too */
};

SalvageResult salvage(const SalvageJob &job, const CheckOptions &options);

}  // namespace cloopw

#endif
