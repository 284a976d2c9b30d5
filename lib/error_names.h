/* SPDX-License-Identifier: GPL-2.0 */
/* The engine has numbers for errors, since a kernel has no words for them. */
#ifndef CLOOPW_LIB_ERROR_NAMES_H
#define CLOOPW_LIB_ERROR_NAMES_H

#include <string>

namespace cloopw {

/* "FILE: cannot be read (error 5)" becomes "FILE: cannot be read (Input/output error)". */
std::string with_error_names(std::string text);

}  // namespace cloopw

#endif
