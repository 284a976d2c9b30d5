/* SPDX-License-Identifier: GPL-2.0 */
/* Changes of an attachment: snapshot, resize, flush, reset. */
#ifndef CLOOPW_CHANGE_H
#define CLOOPW_CHANGE_H

#include "core/report.h"

struct cloopw_disk;

/*
 * CLOOPW_SNAPSHOT, _RESIZE, _FLUSH and _RESET; -ENOTTY for others. exclusive: the
 * caller has the disk open exclusively.
 */
int cloopw_change_ioctl(struct cloopw_disk *disk, bool exclusive,
			unsigned int cmd, void __user *arg);
/*
 * Takes over the new size of a raw image when *size is 0, or else grows the
 * device to *size bytes. *size becomes the device's. On error nothing has changed
 * and the report says why.
 */
int cloopw_resize(struct cloopw_disk *disk, u64 *size,
		  struct cw_report *report);

#endif
