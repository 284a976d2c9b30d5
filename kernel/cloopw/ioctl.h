/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_IOCTL_H
#define CLOOPW_IOCTL_H

#include <linux/blkdev.h>

#include "compat.h"

/*
 * The ioctl operation of a disk. All ioctls that change anything need
 * CAP_SYS_ADMIN.
 */
int cloopw_ioctl(struct block_device *bdev, blk_mode_t mode,
		 unsigned int cmd, unsigned long arg);

#endif
