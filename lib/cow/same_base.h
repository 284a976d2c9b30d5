/* SPDX-License-Identifier: GPL-2.0 */
/* --same-base: a COW log for an image that is known to have the content of its own. */
#ifndef CLOOPW_COW_SAME_BASE_H
#define CLOOPW_COW_SAME_BASE_H

#include "open_top.h"

namespace cloopw {

/*
 * Makes the lowest of the layers say that it was made for options.image: its time, UUID and
 * digest. Nothing happens when there is no layer yet. Throws Error for an image of another
 * size, and for a COW of another format.
 */
void adopt_image(const StackOptions &options);

}  // namespace cloopw

#endif
