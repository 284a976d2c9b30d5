/* SPDX-License-Identifier: GPL-2.0 */
/* A file in memory, without a name. */
#ifndef CLOOPW_LIB_MEMORY_FILE_H
#define CLOOPW_LIB_MEMORY_FILE_H

#include "fd.h"

namespace cloopw {

/* Empty, closed by exec(). On failure its get() is negative, and errno says why. */
Fd memory_file(const char *name);

}  // namespace cloopw

#endif
