/* SPDX-License-Identifier: GPL-2.0 */
/* Copies what is readable of a damaged COW file into a new one. */
#ifndef CLOOPW_LIB_COW_SALVAGE_H
#define CLOOPW_LIB_COW_SALVAGE_H

#include "check.h"
#include "cow_check.h"
#include "lib/cow/log_writer.h"

namespace cloopw {

struct SalvageResult {
    /*
     * Errors: what is lost, by ranges; there the new file shows what is below,
     * or zeros. Notes with ranges: what may be older or newer than it should
     * be; notes without: what else is to be said.
     */
    Findings findings{Findings::kMaxLost};
    u64 copied_bytes = 0;
    u64 lost_bytes = 0;
};

/*
 * Into out, which is empty and can be written, a log of this configuration;
 * frozen like the old one when that is asked for.
 */
struct LogSalvageOptions {
    bool frozen = false;
    bool past_gaps = false; /* records behind a gap in the log are used, too */
};
SalvageResult salvage_log(cw_io &io, const Io &out, const LogCowConfig &config,
                          const LogSalvageOptions &how, const CheckOptions &options);

/* A copy, byte by byte, with holes where it cannot be read; len: of all of it. */
SalvageResult copy_readable(cw_io &io, const Io &out, u64 len, const CheckOptions &options);

}  // namespace cloopw

#endif
