/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_BYTE_RANGE_H
#define CLOOPW_LIB_BYTE_RANGE_H

#include "core.h"

namespace cloopw {

struct ByteRange {
    u64 off; /* bytes */
    u64 len;
};

}  // namespace cloopw

#endif
