/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_LIB_YES_NO_H
#define CLOOPW_LIB_YES_NO_H

#include <string>
#include <string_view>

namespace cloopw {

/* "1", "true", "yes", "on", or their opposites. Throws Error that names what. */
bool parse_yes_no(const std::string &text, std::string_view what);

}  // namespace cloopw

#endif
