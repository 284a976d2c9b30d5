/* SPDX-License-Identifier: GPL-2.0 */
/* The mark below which a COW's space is low: --low-space. */
#ifndef CLOOPW_COW_LOW_SPACE_H
#define CLOOPW_COW_LOW_SPACE_H

#include <cstdint>
#include <string>

#include "lib/core.h"

namespace cloopw {

struct LowSpace : cw_low_mark {
    LowSpace() : LowSpace(CW_DEFAULT_LOW_PERCENT, 0) {}
    LowSpace(u32 share, u64 size) : cw_low_mark() {
        percent = share;
        bytes = size;
    }
};

/* Why a device has no mark, with the remedy. */
constexpr const char *kNobodyIsTold =
    "nobody is told of it on a device of nbd or fuse; the module and ublk can";

/* "10%", or a size. Throws UsageError that names option. */
LowSpace parse_low_space(const std::string &text, const std::string &option);

/* In the driver's syntax: "10%", or bytes. */
std::string format_low_space(const LowSpace &mark);

}  // namespace cloopw

#endif
