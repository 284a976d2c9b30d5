/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_COW_REFUSAL_H
#define CLOOPW_COW_REFUSAL_H

#include <string>
#include <vector>

#include "lib/error.h"

namespace cloopw {

/*
 * Returns the user's remedy for a refusal of the engine or the kernel: "; remedy", or "".
 * err is a positive errno.
 */
std::string remedy_of_refusal(const std::string &message, int err);

/*
 * Makes an Error of the driver's refusal. message, which may be empty, begins with the file
 * that it is about. When that is none of files, the Error begins with what. err has either
 * sign.
 */
Error refused(const std::string &what, const std::vector<std::string> &files, std::string message,
              int err);

}  // namespace cloopw

#endif
