/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of a disk: attach, detach, status. */
#ifndef CLOOPW_CONFIGURE_H
#define CLOOPW_CONFIGURE_H

#include "attachment.h"
#include "compat.h"

struct cloopw_disk;

int cloopw_ioctl(struct block_device *bdev, blk_mode_t mode,
		 unsigned int cmd, unsigned long arg);

/* exclusive: the caller has the disk open so. On error the report says why. */
int cloopw_attach(struct cloopw_disk *disk, bool exclusive,
		  const struct cloopw_setup *setup, struct cw_report *report);
int cloopw_clear(struct cloopw_disk *disk);
/*
 * Attaches the same image with the flags, offset and size limit of setup; the
 * caller alone has the disk open. On error it is attached as before.
 */
int cloopw_reattach(struct cloopw_disk *disk, const struct cloopw_setup *setup,
		    struct cw_report *report);

int cloopw_check_window(u64 offset, u64 sizelimit, struct cw_report *report);
/* That of a structure, which is its first field: least once. */
int cloopw_read_size(const void __user *arg, size_t least, u32 *size);
/* A structure that begins with its size: len bytes now, least once. */
int cloopw_read_request(void *request, size_t len, const void __user *arg,
			size_t least);
/* The reason for a failure, to an address of the caller's. */
void cloopw_write_message(const struct cw_report *report, u64 message,
			  u32 message_len);

#endif
