/* SPDX-License-Identifier: GPL-2.0 */
/* CRC-32C by the fastest of the kernel's implementations on this machine. */
#ifndef CLOOPW_CRC32C_LINUX_H
#define CLOOPW_CRC32C_LINUX_H

#include <linux/types.h>

#if !defined(CLOOPW_IN_TREE) || defined(CW_COMPAT_CHOOSE_CRC32C)
/* Chooses one. Call it once, before the first attach. */
void cw_crc32c_choose(void);
#endif

/* core/platform.h's checksum. */
u32 cw_crc32c(const void *buf, size_t len);

#endif
