/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ends of a tool. A body throws cloopw::Error (exit 1) or UsageError (exit 2);
 * run_tool() in tool.h prints "TOOL: what()" and returns the exit code.
 */
#ifndef CLOOPW_TOOLS_ERROR_H
#define CLOOPW_TOOLS_ERROR_H

#include "lib/error.h"

namespace cloopw {

enum ExitCode { kExitOk = 0, kExitFailure = 1, kExitUsage = 2 };

/* A tool's own exit codes: run_tool() returns them for the exceptions of a body. */
struct ExitCodes {
    int failure = kExitFailure;
    int usage = kExitUsage;
    int cancelled = kExitFailure; /* an Error of EINTR */
};

}  // namespace cloopw

#endif
