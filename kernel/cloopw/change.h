/* SPDX-License-Identifier: GPL-2.0 */
/* Changes of what is attached: snapshot, resize, flush, limit. */
#ifndef CLOOPW_CHANGE_H
#define CLOOPW_CHANGE_H

#include "core/report.h"
#include "direct.h"

struct cloopw_disk;

int cloopw_change_ioctl(struct cloopw_disk *disk, unsigned int cmd,
			void __user *arg);
/* On error nothing has changed and the report says why. */
int cloopw_resize(struct cloopw_disk *disk, u64 *size,
		  struct cw_report *report);
/* Of the bytes that the COW file may take; 0: no limit. */
int cloopw_set_limit(struct cloopw_disk *disk, u64 bytes);
/* mode: what came of it. */
int cloopw_set_direct(struct cloopw_disk *disk, bool wanted,
		      enum cw_direct_mode *mode);

#endif
