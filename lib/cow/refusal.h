/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_COW_REFUSAL_H
#define CLOOPW_COW_REFUSAL_H

#include <string>
#include <vector>

#include "kernel/cloopw/uapi/cloopw.h"
#include "lib/error.h"

namespace cloopw {

/*
 * Returns the user's remedy for a refusal of the engine or the kernel: "; remedy", or "".
 * code is as of Error::code(), err a positive errno.
 */
std::string remedy_of(unsigned int code, int err);

/* Returns the refusal with its remedy behind it. */
Error with_remedy(const Error &refusal);

/*
 * Makes an Error of the driver's refusal. The reason's text, which may be empty, begins with
 * the file that it is about. When that is none of files, the Error begins with what. err has
 * either sign.
 */
Error refused(const std::string &what, const std::vector<std::string> &files,
              const cloopw_reason &reason, int err);

}  // namespace cloopw

#endif
