/* SPDX-License-Identifier: GPL-2.0 */
/* Names in lists of lines: what would break one is \ooo, as in /proc/mounts. */
#ifndef CLOOPW_LIB_OCTAL_H
#define CLOOPW_LIB_OCTAL_H

#include <string>

namespace cloopw {

/* Text in UTF-8 that is one line; of a name that is that already only backslashes change. */
std::string to_octal(const std::string &name);

/* The name again. Also of what the kernel wrote so. */
std::string from_octal(const std::string &text);

}  // namespace cloopw

#endif
