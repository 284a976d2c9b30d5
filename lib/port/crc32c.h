/* SPDX-License-Identifier: GPL-2.0 */
/* CRC-32C, with the processor's instruction if there is one. */
#ifndef CLOOPW_LIB_CRC32C_H
#define CLOOPW_LIB_CRC32C_H

#include "platform_posix.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The way of cw_crc32c() without the instruction; for tests. */
u32 cw_crc32c_tables(const void *buf, size_t len);

#ifdef __cplusplus
}
#endif

#endif
