/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_MKCLOOPW_H
#define CLOOPW_MKCLOOPW_H

#include <atomic>

#include "tools/common/options.h"
#include "tools/common/tool.h"

namespace cloopw {

/* The whole tool. Returns the exit code. Stops soon after cancelled is set. */
int mkcloopw(const Args &args, Streams &streams, const std::atomic<bool> &cancelled);

OptionTable mkcloopw_options(); /* for its manual and completions */

}  // namespace cloopw

#endif
