/* SPDX-License-Identifier: GPL-2.0 */
/* The work of a device, at intervals. */
#ifndef CLOOPWSETUP_STATS_H
#define CLOOPWSETUP_STATS_H

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "driver.h"

namespace cloopw {

struct StatsOptions {
    std::chrono::milliseconds interval{1000};
    uint64_t count = 0; /* lines; 0: until the device is detached */
    bool json = false;  /* an object a line */
    bool headings = true;
};

/* "SECONDS[,COUNT]", fractions of seconds allowed. Throws UsageError. */
void parse_stats(const std::string &text, StatsOptions *options);

/* Throws Error when the device cannot be looked at from the start. */
void print_stats(Driver &driver, const DeviceRef &device, const StatsOptions &options,
                 std::ostream &out);

}  // namespace cloopw

#endif
