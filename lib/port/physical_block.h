/* SPDX-License-Identifier: GPL-2.0 */
/* The largest part of a medium that a write cut off by power may destroy. */
#ifndef CLOOPW_PHYSICAL_BLOCK_H
#define CLOOPW_PHYSICAL_BLOCK_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Bytes, for struct cw_io: the physical block of the device, or of the device below the
 * file's file system. A sector for a file in memory; 4096 when nobody can tell. fd is
 * borrowed.
 */
u32 cw_physical_block(int fd);

#ifdef __cplusplus
}
#endif

#endif
