/* SPDX-License-Identifier: GPL-2.0 */
/* Changes of an attachment: snapshot, resize, flush, limit, direct I/O. */
#ifndef CLOOPW_CHANGE_H
#define CLOOPW_CHANGE_H

#include "core/report.h"
#include "direct.h"

struct cloopw_disk;

/* CLOOPW_SNAPSHOT, _RESIZE and _FLUSH; -ENOTTY for others. */
int cloopw_change_ioctl(struct cloopw_disk *disk, unsigned int cmd,
			void __user *arg);
/*
 * Takes over the new size of a raw image, in bytes. On error nothing has
 * changed and the report says why.
 */
int cloopw_resize(struct cloopw_disk *disk, u64 *size,
		  struct cw_report *report);
/*
 * Limits the bytes of the COW file; 0: no limit. Errors as of
 * cw_device_set_limit(); -ENXIO: nothing is attached.
 */
int cloopw_set_limit(struct cloopw_disk *disk, u64 bytes);
/* Switches direct I/O of the image. On 0, *mode is the result. */
int cloopw_set_direct(struct cloopw_disk *disk, bool wanted,
		      enum cw_direct_mode *mode);

#endif
