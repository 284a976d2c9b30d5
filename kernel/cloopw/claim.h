/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices below are claimed, as dm, md and file systems do. A program
 * that wants one for itself, such as mkfs, pvcreate or mount, gets EBUSY. All
 * devices of this driver have one holder, so several of them can lie over one
 * base. backing.c ensures that only one of them writes to a device.
 */
#ifndef CLOOPW_CLAIM_H
#define CLOOPW_CLAIM_H

#include <linux/types.h>

struct block_device;
struct file;
struct gendisk;

/* All zero: nothing is claimed. */
struct cloopw_claim {
	struct file *claimed;
	struct block_device *bdev;
	/* shows bdev among its slaves; NULL: it does not */
	struct gendisk *disk;
};

/*
 * Claims a block device, which is open and stays so. -EBUSY: others have it. A
 * read-only device that the caller does not write needs no claim: a CD or a
 * write-protected card may be mounted, too.
 */
int cloopw_claim(struct cloopw_claim *claim, struct block_device *bdev,
		 struct gendisk *disk, bool writable);
void cloopw_unclaim(struct cloopw_claim *claim); /* all zero is fine */

#endif
