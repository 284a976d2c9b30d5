/* SPDX-License-Identifier: GPL-2.0 */
/* Attaches an image to a disk, and detaches it. */
#ifndef CLOOPW_ATTACH_H
#define CLOOPW_ATTACH_H

#include "attachment.h"

struct cloopw_disk;

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

#endif
