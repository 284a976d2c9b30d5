/* SPDX-License-Identifier: GPL-2.0 */
/* Text that came from a file, a medium or another user, made fit to be printed. */
#ifndef CLOOPW_LIB_ESCAPE_H
#define CLOOPW_LIB_ESCAPE_H

#include <string>
#include <string_view>

namespace cloopw {

/*
 * The text in UTF-8 that moves no cursor, begins no line and turns no direction: control
 * characters become \n, \t, \r, \x1b or \u0085, marks of direction and format \u202e, and
 * bytes that are not UTF-8 \xe9. All else stays as it is, a backslash, too.
 */
std::string escaped(std::string_view text);

}  // namespace cloopw

#endif
