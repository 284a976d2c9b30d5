/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of loop, which cloop had, too. So programs made for those can
 * attach an image read-only. The driver refuses what it does not understand.
 * The reason is in the kernel's log, because these ioctls have no other place
 * for it.
 */
#ifndef CLOOPW_LOOP_COMPAT_H
#define CLOOPW_LOOP_COMPAT_H

#include <linux/types.h>

struct cloopw_disk;

bool cloopw_is_loop_ioctl(unsigned int cmd);
/*
 * Answers cmd as the loop driver does: 0 or -errno. arg is the caller's, a pointer to its
 * memory for some. exclusive: the caller has opened the disk with O_EXCL. Takes the disk's
 * lock.
 */
int cloopw_loop_ioctl(struct cloopw_disk *disk, bool exclusive,
		      unsigned int cmd, unsigned long arg);

#endif
