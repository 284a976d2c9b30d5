/* SPDX-License-Identifier: GPL-2.0 */
/* Writes the readable part of a damaged file into a new one. */
#ifndef CLOOPW_CLOOPWCK_SALVAGE_H
#define CLOOPW_CLOOPWCK_SALVAGE_H

#include <string>

#include "lib/check/check.h"
#include "lib/check/salvage.h"

namespace cloopw {

struct SalvageJob {
    std::string path;
    bool is_cow = false;
    /* For a COW that does not name the file below any more: that file; or empty. */
    std::string below;
    bool below_is_cow = false;
    std::string above;  /* the layer over it, which knows its UUID; or empty */
    std::string format; /* format of the image, this one or the one below; empty: probe */
    std::string output;
    bool force = false;     /* replace an existing output */
    bool past_gaps = false; /* for a COW log: also use records behind a gap */
};

/* The new file appears only when it is complete. Throws Error. */
SalvageResult salvage(const SalvageJob &job, const CheckOptions &options);

}  // namespace cloopw

#endif
