/* SPDX-License-Identifier: GPL-2.0 */
/* Repairs in place what a file has twice, and nothing else. */
#ifndef CLOOPW_CLOOPWCK_REPAIR_H
#define CLOOPW_CLOOPWCK_REPAIR_H

#include "file_check.h"

namespace cloopw {

/* Repairs the repairable findings of the report, and marks them there. Throws Error. */
void repair_file(FileReport *report);

}  // namespace cloopw

#endif
