/* SPDX-License-Identifier: GPL-2.0 */
/* A large temporary file. */
#ifndef CLOOPW_LIB_SCRATCH_FILE_H
#define CLOOPW_LIB_SCRATCH_FILE_H

#include <string>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * The file has no name, so it vanishes with the process in any case. It is in $TMPDIR, or
 * else in /var/tmp, because /tmp is often memory. Messages name it by what. Throws Error.
 */
Io open_scratch_file(const std::string &what);

}  // namespace cloopw

#endif
