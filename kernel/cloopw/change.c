// SPDX-License-Identifier: GPL-2.0
#include "change.h"

#include <linux/blkdev.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attachment.h"
#include "compat.h"
#include "disk.h"
#include "request.h"
#include "serving.h"
#include "sysfs.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_snapshot) == CLOOPW_SNAPSHOT_SIZE_1);
static_assert(sizeof(struct cloopw_resize) == CLOOPW_RESIZE_SIZE_1);
static_assert(sizeof(struct cloopw_reset) == CLOOPW_RESET_SIZE_1);

/* Takes the right to change the attachment, which one thread has at a time. */
static int hold(struct cloopw_disk *disk, struct cw_report *report)
{
	int err = cloopw_disk_hold(disk, true);

	if (!err || err == -EINTR)
		return err;
	return cw_refuse_file(report, err,
			      err == -EBUSY ? CLOOPW_R_CHANGING :
					      CLOOPW_R_UNATTACHED,
			      disk->gd->disk_name);
}

/* Makes the change, or writes the reason of the failure. */
static int change(struct cloopw_disk *disk, void *request, u64 reason,
		  int (*make)(struct cloopw_disk *disk, void *request,
			      struct cw_report *report))
{
	struct cw_report *report = kzalloc_obj(*report);
	int err;

	if (!report)
		return -ENOMEM;
	err = make(disk, request, report);
	if (err)
		cloopw_write_reason(report, reason);
	kfree(report);
	return err;
}

/* The engine may have another size by now. It takes no request beyond the disk's. */
static u64 show_size(struct cloopw_disk *disk)
{
	struct cloopw_attachment *att = disk->attachment;
	struct cw_device_info info;

	cw_device_get_info(att->engine, &info);
	mutex_lock(&disk->lock);
	att->info.size = info.size;
	mutex_unlock(&disk->lock);
	set_capacity_and_notify(disk->gd, info.size >> SECTOR_SHIFT);
	return info.size;
}

/* ---- snapshot ---- */

static int add_layer(struct cloopw_disk *disk, void *arg,
		     struct cw_report *report)
{
	const struct cloopw_snapshot *request = arg;
	u32 nr;
	int err;

	if (request->flags & ~CLOOPW_SNAPSHOT_ELSEWHERE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x",
				 request->flags & ~CLOOPW_SNAPSHOT_ELSEWHERE);
	if (request->reserved)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "a reserved field is not zero");
	err = hold(disk, report);
	if (err)
		return err;
	nr = cw_device_layers(disk->attachment->engine)->nr;
	if (nr < CW_MAX_LAYERS)
		err = cloopw_sysfs_set_layers(disk->sysfs, nr + 1);
	if (!err)
		err = cloopw_attachment_snapshot(disk->attachment, disk,
						 request->layer_fd,
						 request->flags &
						 CLOOPW_SNAPSHOT_ELSEWHERE,
						 report);
	if (err)
		cloopw_sysfs_set_layers(disk->sysfs, nr);
	else
		show_size(disk); /* the new layer may be longer */
	cloopw_disk_release(disk, true);
	return err;
}

static int snapshot(struct cloopw_disk *disk, const void __user *arg)
{
	struct cloopw_snapshot request = {};
	int err;

	err = cloopw_read_request(&request, sizeof(request), arg,
				  CLOOPW_SNAPSHOT_SIZE_1);
	if (err)
		return err;
	return change(disk, &request, request.reason, add_layer);
}

/* ---- resize ---- */

/*
 * The size changes while no request is under way and nobody looks at it. The
 * lock comes before the freeze, because its holders may wait for the log's
 * lock. And no worker makes this change: other changes may occupy it. Requests
 * need no lock.
 */
static int take_size(struct cloopw_disk *disk, struct cw_report *report)
{
	struct cloopw_attachment *att = disk->attachment;
	struct request_queue *queue = disk->gd->queue;
	unsigned int serving, memflags;
	int err;

	mutex_lock(&disk->lock);
	memflags = blk_mq_freeze_queue(queue);
	serving = cloopw_serving_begin();
	err = cw_device_resize(att->engine, 0, report);
	cloopw_serving_end(serving);
	if (!err)
		cw_device_get_info(att->engine, &att->info);
	blk_mq_unfreeze_queue(queue, memflags);
	mutex_unlock(&disk->lock);
	return err;
}

struct growth {
	u64 size;
	struct cw_report *report;
};

static int grow_engine(struct cloopw_attachment *att, void *arg)
{
	const struct growth *growth = arg;

	return cw_device_resize(att->engine, growth->size, growth->report);
}

/*
 * Growth writes to the COW file and waits for its medium. Requests go on
 * meanwhile, and none is beyond the old size before the disk has the new one.
 */
static int grow(struct cloopw_disk *disk, u64 size, struct cw_report *report)
{
	struct growth growth = { .size = size, .report = report };

	return cloopw_attachment_run(disk->attachment, grow_engine, &growth);
}

int cloopw_resize(struct cloopw_disk *disk, u64 *size, struct cw_report *report)
{
	int err = hold(disk, report);

	if (err)
		return err;
	err = *size ? grow(disk, *size, report) : take_size(disk, report);
	if (!err)
		*size = show_size(disk);
	cloopw_disk_release(disk, true);
	return err;
}

static int resize_checked(struct cloopw_disk *disk, void *arg,
			  struct cw_report *report)
{
	struct cloopw_resize *request = arg;

	if (request->flags & ~CLOOPW_RESIZE_GROW)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x",
				 request->flags & ~CLOOPW_RESIZE_GROW);
	if (!request->flags)
		request->device_size = 0;
	else if (!request->device_size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_SHRINK,
				 "a device cannot shrink to 0 bytes");
	return cloopw_resize(disk, &request->device_size, report);
}

static int resize(struct cloopw_disk *disk, struct cloopw_resize __user *arg)
{
	struct cloopw_resize request = {};
	int err;

	err = cloopw_read_request(&request, sizeof(request), arg,
				  CLOOPW_RESIZE_SIZE_1);
	if (err)
		return err;
	err = change(disk, &request, request.reason, resize_checked);
	if (!err && put_user(request.device_size, &arg->device_size))
		err = -EFAULT;
	return err;
}

/* ---- flush ---- */

static int checkpoint(struct cloopw_attachment *att, void *arg)
{
	return cw_device_checkpoint(att->engine);
}

static int flush(struct cloopw_disk *disk)
{
	int err = cloopw_disk_hold(disk, false);
	int sync_err;

	if (err)
		return err;
	sync_err = cloopw_disk_sync(disk);
	err = cloopw_attachment_run(disk->attachment, checkpoint, NULL);
	cloopw_disk_release(disk, false);
	return sync_err ? sync_err : err;
}

/* ---- reset ---- */

struct reset {
	struct cloopw_reset request;
	bool exclusive;
};

static int reset_engine(struct cloopw_attachment *att, void *arg)
{
	return cw_device_reset(att->engine, arg);
}

/* With the disk held, and claimed, so that no file system is on it. */
static int reset_held(struct cloopw_disk *disk, struct cw_report *report)
{
	int err;

	/* Data that a full COW cannot store goes all the same. */
	cloopw_disk_sync(disk);
	err = cloopw_attachment_run(disk->attachment, reset_engine, report);
	if (!err)
		cloopw_disk_drop_cached(disk);
	return err;
}

static int reset_checked(struct cloopw_disk *disk, void *arg,
			 struct cw_report *report)
{
	const struct reset *reset = arg;
	struct block_device *bdev = disk->gd->part0;
	int err;

	if (reset->request.flags)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x", reset->request.flags);
	err = hold(disk, report);
	if (err)
		return err;
	if (!reset->exclusive)
		err = bd_prepare_to_claim(bdev, disk, NULL);
	if (err) {
		cw_refuse_file(report, err, CLOOPW_R_DEVICE_IN_USE,
			       disk->gd->disk_name);
		goto release;
	}
	err = reset_held(disk, report);
	if (!reset->exclusive)
		bd_abort_claiming(bdev, disk);
release:
	cloopw_disk_release(disk, true);
	return err;
}

static int reset(struct cloopw_disk *disk, bool exclusive,
		 const void __user *arg)
{
	struct reset reset = { .exclusive = exclusive };
	int err;

	err = cloopw_read_request(&reset.request, sizeof(reset.request), arg,
				  CLOOPW_RESET_SIZE_1);
	if (err)
		return err;
	return change(disk, &reset, reset.request.reason, reset_checked);
}

int cloopw_change_ioctl(struct cloopw_disk *disk, bool exclusive,
			unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case CLOOPW_SNAPSHOT:
		return snapshot(disk, arg);
	case CLOOPW_RESIZE:
		return resize(disk, arg);
	case CLOOPW_FLUSH:
		return flush(disk);
	case CLOOPW_RESET:
		return reset(disk, exclusive, arg);
	default:
		return -ENOTTY;
	}
}
