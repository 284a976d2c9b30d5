/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices below are claimed, as dm, md and file systems do it: who wants
 * one for itself, such as mkfs, pvcreate and mount, is told that it is busy.
 * All devices of this driver have one holder, so several of them can lie over
 * one base; that only one writes to a device is for backing.c to see to.
 */
#ifndef CLOOPW_CLAIM_H
#define CLOOPW_CLAIM_H

#include "compat.h"

/* All zero: nothing is claimed. */
struct cw_claim {
	cw_claim_t *claimed;
	struct block_device *bdev;
	struct gendisk *disk; /* shows it among its slaves; NULL: it does not */
};

/*
 * bdev is open, and stays so. -EBUSY: others have it. What cannot be written
 * needs no claim: a CD or a write-protected card may be mounted, too.
 */
int cw_claim(struct cw_claim *claim, struct block_device *bdev,
	     struct gendisk *disk, bool writable);
void cw_unclaim(struct cw_claim *claim); /* all zero is fine */

#endif
