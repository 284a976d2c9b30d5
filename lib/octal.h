/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names in lists of lines: a character that breaks a line becomes \ooo, as in /proc/mounts.
 */
#ifndef CLOOPW_LIB_OCTAL_H
#define CLOOPW_LIB_OCTAL_H

#include <string>

namespace cloopw {

/*
 * Returns one line of UTF-8. In a name that is one line already, only backslashes change.
 */
std::string to_octal(const std::string &name);

/* Returns the name again, also of the kernel's text of that form. */
std::string from_octal(const std::string &text);

}  // namespace cloopw

#endif
