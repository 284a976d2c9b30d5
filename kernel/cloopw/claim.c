// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "claim.h"

#include <linux/blkdev.h>
#include <linux/err.h>

#include "compat.h"

/* The holder: a unique address. The content does not matter. */
static char holder;

int cloopw_claim(struct cloopw_claim *claim, struct block_device *bdev,
		 struct gendisk *disk, bool writable)
{
	struct file *claimed = bdev_file_open_by_dev(bdev->bd_dev,
						     BLK_OPEN_READ, &holder,
						     NULL);

	if (IS_ERR(claimed)) {
		if (PTR_ERR(claimed) == -EBUSY && !writable &&
		    bdev_read_only(bdev))
			return 0;
		return PTR_ERR(claimed);
	}
	claim->claimed = claimed;
	claim->bdev = bdev;
	/* For programs that look at slaves, such as lsblk. */
	if (bd_link_disk_holder(bdev, disk))
		pr_debug("%s: %pg is not among its slaves\n", disk->disk_name,
			 bdev);
	else
		claim->disk = disk;
	return 0;
}

void cloopw_unclaim(struct cloopw_claim *claim)
{
	if (claim->disk)
		bd_unlink_disk_holder(claim->bdev, claim->disk);
	if (claim->claimed)
		bdev_fput(claim->claimed);
	*claim = (struct cloopw_claim){};
}
