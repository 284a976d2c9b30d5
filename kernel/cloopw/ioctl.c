// SPDX-License-Identifier: GPL-2.0
/* The door of a disk: each ioctl goes to the file that has it. */
#include "ioctl.h"

#include <linux/capability.h>

#include "attach.h"
#include "change.h"
#include "compat.h"
#include "configure.h"
#include "disk.h"
#include "loop_compat.h"
#include "reads.h"
#include "status.h"
#include "uapi/cloopw.h"

int cloopw_ioctl(struct block_device *bdev, blk_mode_t mode,
		 unsigned int cmd, unsigned long arg)
{
	struct cloopw_disk *disk = bdev->bd_disk->private_data;

	if (!cloopw_is_loop_ioctl(cmd) &&
	    _IOC_TYPE(cmd) != CLOOPW_IOC_MAGIC)
		return -ENOTTY;
	if (bdev_is_partition(bdev))
		return -EINVAL;
	if (cmd == CLOOPW_GET_STATUS)
		return cloopw_get_status(disk, (void __user *)arg);
	if (cloopw_is_loop_ioctl(cmd))
		return cloopw_loop_ioctl(disk, mode & BLK_OPEN_EXCL, cmd,
					 arg);
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case CLOOPW_CONFIGURE:
		return cloopw_configure(disk, mode & BLK_OPEN_EXCL,
					(const void __user *)arg);
	case CLOOPW_CLEAR:
		return cloopw_clear(disk);
	case CLOOPW_GET_READS:
		return cloopw_get_reads(disk, (void __user *)arg);
	default:
		return cloopw_change_ioctl(disk, mode & BLK_OPEN_EXCL, cmd,
					   (void __user *)arg);
	}
}
