/* SPDX-License-Identifier: GPL-2.0 */
/* Settings of an attachment: the COW file's limit, direct I/O. */
#ifndef CLOOPW_SETTINGS_H
#define CLOOPW_SETTINGS_H

#include <linux/types.h>

#include "direct.h"

struct cloopw_disk;

/*
 * Limits the bytes of the COW file; 0: no limit. Errors as of
 * cw_device_set_limit(); -ENXIO: nothing is attached.
 */
int cloopw_set_limit(struct cloopw_disk *disk, u64 bytes);
/* Switches direct I/O of the image. On 0, *mode is the result. */
int cloopw_set_direct(struct cloopw_disk *disk, bool wanted,
		      enum cloopw_direct_mode *mode);

#endif
