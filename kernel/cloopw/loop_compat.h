/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ioctls of loop, so that programs that were made for it (and for cloop, which
 * had them) can attach an image read-only. What is not understood is refused;
 * the reason is in the kernel's log, as there is no other place for it.
 */
#ifndef CLOOPW_LOOP_COMPAT_H
#define CLOOPW_LOOP_COMPAT_H

#include <linux/types.h>

struct cloopw_disk;

bool cloopw_is_loop_ioctl(unsigned int cmd);
/* exclusive: the caller has the disk open so. */
int cloopw_loop_ioctl(struct cloopw_disk *disk, bool exclusive,
		      unsigned int cmd, unsigned long arg);

#endif
