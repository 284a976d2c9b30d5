/* SPDX-License-Identifier: GPL-2.0 */
/* What can be made right in place: only what the file has twice. */
#ifndef CLOOPW_CLOOPWCK_REPAIR_H
#define CLOOPW_CLOOPWCK_REPAIR_H

#include "file_check.h"

namespace cloopw {

/* Repairs what the report calls repairable, and notes it there. */
void repair_file(FileReport *report);

}  // namespace cloopw

#endif
