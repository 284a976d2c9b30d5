/* SPDX-License-Identifier: GPL-2.0 */
/* CRC-32C by whichever of the kernel's ways is the fastest on this machine. */
#ifndef CLOOPW_CRC32C_LINUX_H
#define CLOOPW_CRC32C_LINUX_H

#include <linux/types.h>

/* Called once, before anything is attached. */
void cw_crc32c_choose(void);

u32 cw_crc32c(const void *buf, size_t len);

#endif
