/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of a disk. */
#ifndef CLOOPW_CONFIGURE_H
#define CLOOPW_CONFIGURE_H

#include "compat.h"

int cloopw_ioctl(struct block_device *bdev, cw_blk_mode_t mode,
		 unsigned int cmd, unsigned long arg);

#endif
