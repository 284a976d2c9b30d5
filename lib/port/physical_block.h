/* SPDX-License-Identifier: GPL-2.0 */
/* How much of a file's medium a write that power cuts off may destroy. */
#ifndef CLOOPW_PHYSICAL_BLOCK_H
#define CLOOPW_PHYSICAL_BLOCK_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bytes, for struct cw_io: of the device, or of that below the file's file
 * system; a sector for what is in memory only; 4096 where nobody can tell.
 */
u32 cw_physical_block(int fd);

#ifdef __cplusplus
}
#endif

#endif
