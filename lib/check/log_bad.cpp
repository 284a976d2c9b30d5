// SPDX-License-Identifier: GPL-2.0
/* Outside the kernel, the engine reports to standard error: a line for each report. */
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string>

#include "lib/core.h"
#include "lib/escape.h"

namespace {

std::atomic<bool> quiet;

}  // namespace

void cw_log_bad_quiet(bool on) { quiet = on; }

/*
 * The text has names of files, which may be anybody's. No exception may cross the engine.
 */
void cw_log_bad(const char *fmt, ...) {
    if (quiet) {
        return;
    }
    std::array<char, 8192> text = {};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text.data(), text.size(), fmt, args); /* NOLINT(clang-analyzer-valist.*) */
    va_end(args);
    try {
        const std::string line = cloopw::escaped(text.data()) + "\n";
        (void)fputs(line.c_str(), stderr);
    } catch (const std::exception &) {
        (void)fputs("cloopw: not enough memory for a message\n", stderr);
    }
}
