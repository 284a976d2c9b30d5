/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of a disk: attach, detach, status. */
#ifndef CLOOPW_CONFIGURE_H
#define CLOOPW_CONFIGURE_H

#include <linux/blkdev.h>

#include "attachment.h"
#include "compat.h"

struct cloopw_disk;

/*
 * The ioctl operation of a disk. All ioctls that change anything need
 * CAP_SYS_ADMIN.
 */
int cloopw_ioctl(struct block_device *bdev, blk_mode_t mode,
		 unsigned int cmd, unsigned long arg);

/*
 * exclusive: the caller has opened the disk with O_EXCL. -EBUSY: the disk is
 * attached or in use. On error the report says why.
 */
int cloopw_attach(struct cloopw_disk *disk, bool exclusive,
		  const struct cloopw_setup *setup, struct cw_report *report);
/*
 * Detaches. -ENXIO: nothing is attached. -EBUSY: others have the disk open.
 * When not all data could be written back, the first call reports that and
 * leaves the disk attached. Other errors: detached, but not all data is safe.
 */
int cloopw_clear(struct cloopw_disk *disk);
/*
 * Attaches the same image with the flags, offset and size limit of setup. Only
 * the caller has the disk open. On error the disk is attached as before, if
 * that is possible.
 */
int cloopw_reattach(struct cloopw_disk *disk, const struct cloopw_setup *setup,
		    struct cw_report *report);

/*
 * Checks a window of an image's file, in bytes. The offset must be a multiple
 * of the sector size, and the end must fit a loff_t. 0, -EINVAL or -EOVERFLOW,
 * with a report.
 */
int cloopw_check_window(u64 offset, u64 sizelimit, struct cw_report *report);
/*
 * Reads the size of the caller's structure, its first field. -EINVAL: less than
 * least. -E2BIG: more than a page.
 */
int cloopw_read_size(const void __user *arg, size_t least, u32 *size);
/*
 * Copies the caller's structure, which begins with its size. len is its length
 * in this driver, least its first published length. Missing fields are 0;
 * -E2BIG: unknown fields are not 0.
 */
int cloopw_read_request(void *request, size_t len, const void __user *arg,
			size_t least);
/*
 * Copies the reason of a failure to the caller's struct cloopw_reason. address
 * 0: there is none.
 */
void cloopw_write_reason(const struct cw_report *report, u64 address);

#endif
