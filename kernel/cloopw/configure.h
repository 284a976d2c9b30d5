/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_CONFIGURE_H
#define CLOOPW_CONFIGURE_H

#include <linux/types.h>

struct cloopw_disk;

/*
 * CLOOPW_CONFIGURE. exclusive: the caller has opened the disk with O_EXCL. On
 * error the caller's struct cloopw_reason has the reason.
 */
int cloopw_configure(struct cloopw_disk *disk, bool exclusive,
		     const void __user *arg);

#endif
