/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPWSETUP_REFUSAL_H
#define CLOOPWSETUP_REFUSAL_H

#include <string>

namespace cloopw {

/*
 * What the user can do about a refusal of the engine's, here or in the kernel:
 * "; remedy", or nothing. err is a positive errno.
 */
std::string remedy_of_refusal(const std::string &message, int err);

}  // namespace cloopw

#endif
