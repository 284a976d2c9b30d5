/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_COW_REFUSAL_H
#define CLOOPW_COW_REFUSAL_H

#include <string>
#include <vector>

#include "lib/error.h"

namespace cloopw {

/*
 * What the user can do about a refusal of the engine's, here or in the kernel:
 * "; remedy", or nothing. err is a positive errno.
 */
std::string remedy_of_refusal(const std::string &message, int err);

/*
 * A refusal of the driver's as an Error. Its message, which may be empty,
 * begins with one of these files, or what comes before it. err with either
 * sign.
 */
Error refused(const std::string &what, const std::vector<std::string> &files, std::string message,
              int err);

}  // namespace cloopw

#endif
