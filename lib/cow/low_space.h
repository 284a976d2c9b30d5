/* SPDX-License-Identifier: GPL-2.0 */
/* The mark below which a COW's space is low: --low-space. */
#ifndef CLOOPW_COW_LOW_SPACE_H
#define CLOOPW_COW_LOW_SPACE_H

#include <cstdint>
#include <string>

#include "lib/core.h"

namespace cloopw {

/* A share of the capacity when percent is not 0, else bytes. Both 0: space is never low. */
struct LowSpace {
    uint32_t percent = 10; /* the driver's default */
    uint64_t bytes = 0;
};

/* "10%", or a size. Throws UsageError that names option. */
LowSpace parse_low_space(const std::string &text, const std::string &option);

/* In the driver's syntax: "10%", or bytes. */
std::string format_low_space(const LowSpace &mark);

/* available may be CW_CAPACITY_UNKNOWN, which is not low. Both are in bytes. */
bool is_low(const LowSpace &mark, u64 capacity, u64 available);

}  // namespace cloopw

#endif
