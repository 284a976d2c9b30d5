/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_CLOOPWCK_H
#define CLOOPW_CLOOPWCK_H

#include <atomic>

#include "tools/common/options.h"
#include "tools/common/tool.h"

namespace cloopw {

/* The exit codes of fsck. */
enum CheckExit {
    kCheckClean = 0,
    kCheckCorrected = 1,   /* errors were found and corrected; nothing is lost */
    kCheckUncorrected = 4, /* errors are left, or data is lost */
    kCheckFailed = 8,      /* the check itself could not be done */
    kCheckUsage = 16,
    kCheckCancelled = 32,
};

/* The whole tool. Returns the exit code. Stops soon after cancelled is set. */
int cloopwck(const Args &args, Streams &streams, const std::atomic<bool> &cancelled);

OptionTable cloopwck_options(); /* for its manual and completions */

}  // namespace cloopw

#endif
