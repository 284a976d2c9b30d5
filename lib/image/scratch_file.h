/* SPDX-License-Identifier: GPL-2.0 */
/* A large temporary file. */
#ifndef CLOOPW_LIB_SCRATCH_FILE_H
#define CLOOPW_LIB_SCRATCH_FILE_H

#include <string>

#include "lib/cloopw.h"

namespace cloopw {

/*
 * It has no name, so that it ends with us, whatever ends us. In $TMPDIR, else in
 * /var/tmp: /tmp is often memory. what is for messages.
 */
Io open_scratch_file(const std::string &what);

}  // namespace cloopw

#endif
