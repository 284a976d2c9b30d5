/* SPDX-License-Identifier: GPL-2.0 */
/* The names in the engine's tables, for messages, help and completions. */
#ifndef CLOOPW_LIB_NAMES_H
#define CLOOPW_LIB_NAMES_H

#include <string>
#include <vector>

#include "lib/core.h"

namespace cloopw {

using Names = std::vector<std::string>;

std::string joined(const Names &names, const char *between = ", "); /* "a, b" */

/* codecs: CW_CODEC_BIT()s; all that write one of these ids */
Names codec_names(u32 codecs = ~0u);

Names image_format_names(); /* all that the engine reads */

}  // namespace cloopw

#endif
