/* SPDX-License-Identifier: GPL-2.0 */
/* The options of a shell script, from its --help. */
#ifndef CLOOPW_TOOLS_PAGES_SCRIPT_H
#define CLOOPW_TOOLS_PAGES_SCRIPT_H

#include <istream>
#include <string>

#include "tools/common/options.h"

namespace cloopw {

/*
 * Lines like "  -c, --cow FILE     keep the changes there". An argument FILE or DIR is completed
 * as such. "may be repeated" in the help does what it says. Throws where no line is like that.
 */
OptionTable table_of_help(const std::string &tool, std::istream &help);

}  // namespace cloopw

#endif
