/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_CLOOPWSETUP_H
#define CLOOPWSETUP_CLOOPWSETUP_H

#include "kernel.h"
#include "tools/common/options.h"
#include "tools/common/tool.h"

namespace cloopw {

/* The whole program. Returns its exit code. */
int cloopwsetup(const Args &args, Streams &streams, Kernel &kernel);

OptionTable cloopwsetup_options(); /* for its manual and completions */

}  // namespace cloopw

#endif
