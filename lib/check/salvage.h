/* SPDX-License-Identifier: GPL-2.0 */
/* Copies the readable part of a damaged COW file into a new one. */
#ifndef CLOOPW_LIB_COW_SALVAGE_H
#define CLOOPW_LIB_COW_SALVAGE_H

#include "check.h"
#include "cow_check.h"
#include "lib/cow/log_writer.h"

namespace cloopw {

struct SalvageResult {
    /*
     * Errors: the lost ranges. There the new file shows the layer below, or zeros. Notes
     * with ranges may be older or newer than they should be. Notes without ranges say the
     * rest.
     */
    Findings findings{Findings::kMaxLost};
    u64 copied_bytes = 0;
    u64 lost_bytes = 0;
};

/*
 * Writes a log of this configuration into out, which must be empty and writable. frozen:
 * marks it as frozen, like the old one. Throws Error.
 */
struct LogSalvageOptions {
    bool frozen = false;
    bool past_gaps = false; /* also use records behind a gap */
};
SalvageResult salvage_log(cw_io &io, const Io &out, const LogCowConfig &config,
                          const LogSalvageOptions &how, const CheckOptions &options);

/*
 * Copies byte by byte, and leaves holes for unreadable bytes. len: bytes of the whole file.
 */
SalvageResult copy_readable(cw_io &io, const Io &out, u64 len, const CheckOptions &options);

}  // namespace cloopw

#endif
