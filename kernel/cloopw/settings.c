// SPDX-License-Identifier: GPL-2.0
#include "settings.h"

#include "attachment.h"
#include "disk.h"

static int set_limit(struct cloopw_attachment *att, void *bytes)
{
	return cw_device_set_limit(att->engine, *(const u64 *)bytes);
}

int cloopw_set_limit(struct cloopw_disk *disk, u64 bytes)
{
	int err = cloopw_disk_hold(disk, false);

	if (err)
		return err;
	err = cloopw_attachment_run(disk->attachment, set_limit, &bytes);
	cloopw_disk_release(disk, false);
	return err;
}

int cloopw_set_direct(struct cloopw_disk *disk, bool wanted,
		      enum cloopw_direct_mode *mode)
{
	struct cloopw_backing *image;
	int err = cloopw_disk_hold(disk, true);

	if (err)
		return err;
	image = disk->attachment->image;
	err = cloopw_backing_set_direct(image, wanted);
	*mode = cloopw_backing_direct_mode(image);
	cloopw_disk_release(disk, true);
	return err;
}
