/* SPDX-License-Identifier: GPL-2.0 */
/* Makes text of a file, a medium or another user fit for output. */
#ifndef CLOOPW_LIB_ESCAPE_H
#define CLOOPW_LIB_ESCAPE_H

#include <string>
#include <string_view>

namespace cloopw {

/*
 * Returns the text in UTF-8. It moves no cursor, begins no line and turns no direction.
 * Control characters become \n, \t, \r, \x1b or \u0085, and marks of direction and format
 * become \u202e. Bytes that are not UTF-8 become \xe9. All else stays, also a backslash.
 */
std::string escaped(std::string_view text);

}  // namespace cloopw

#endif
