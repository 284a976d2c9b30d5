// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "attach.h"

#include <linux/blk-mq.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "attachment.h"
#include "compat.h"
#include "disk.h"
#include "sysfs.h"
#include "uapi/cloopw.h"

/* ---- phases ---- */

/*
 * These go from one phase to the next, or return an error in any other phase.
 */
static int begin_configure(struct cloopw_disk *disk)
{
	int err = 0;

	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_IDLE)
		disk->phase = CLOOPW_CONFIGURING;
	else
		err = -EBUSY;
	mutex_unlock(&disk->lock);
	return err;
}

/*
 * From here to the end of the clear nobody can open the disk. The caller has it
 * open.
 */
static int begin_clear(struct cloopw_disk *disk)
{
	int err = 0;

	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_IDLE)
		err = -ENXIO;
	else if (disk->phase != CLOOPW_ATTACHED || disk->openers > 1 ||
		 disk->holders)
		err = -EBUSY;
	else
		disk->phase = CLOOPW_CLEARING;
	mutex_unlock(&disk->lock);
	return err;
}

static void set_phase(struct cloopw_disk *disk, enum cloopw_phase phase)
{
	mutex_lock(&disk->lock);
	disk->phase = phase;
	mutex_unlock(&disk->lock);
}

/* ---- configure ---- */

static int install(struct cloopw_disk *disk, struct cloopw_attachment *att)
{
	struct request_queue *queue = disk->gd->queue;
	struct queue_limits limits = queue_limits_start_update(queue);
	unsigned int memflags = blk_mq_freeze_queue(queue);
	int err = cloopw_queue_set_limits(disk, att, &limits);

	if (!err)
		disk->attachment = att;
	blk_mq_unfreeze_queue(queue, memflags);
	return err;
}

/*
 * Shows the attachment to the world, with one event. From set_phase() on,
 * another thread may detach it, so the rest uses only copies.
 */
static void publish(struct cloopw_disk *disk,
		    const struct cloopw_attachment *att)
{
	bool partscan = att->flags & CLOOPW_F_PARTSCAN;
	struct gendisk *gd = disk->gd;
	struct device *dev = disk_to_dev(gd);

	__module_get(THIS_MODULE); /* put by clear */
	dev_set_uevent_suppress(dev, 1);
	disk_force_media_change(gd);
	set_disk_ro(gd, !att->info.writable);
	set_capacity_and_notify(gd, att->info.size >> SECTOR_SHIFT);
	if (partscan)
		clear_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	dev_set_uevent_suppress(dev, 0);
	cloopw_watch_start(att->watch);
	set_phase(disk, CLOOPW_ATTACHED);
	kobject_uevent(&dev->kobj, KOBJ_CHANGE);
	if (!partscan)
		return;
	mutex_lock(&gd->open_mutex);
	if (bdev_disk_changed(gd, false))
		pr_warn("%s: its partitions could not be read\n",
			gd->disk_name);
	mutex_unlock(&gd->open_mutex);
}

/* In phase CONFIGURING, or CLEARING with nothing installed. */
static int attach(struct cloopw_disk *disk, const struct cloopw_setup *setup,
		  struct cw_report *report)
{
	struct cloopw_attachment *att;
	int err;

	err = cloopw_attachment_create(disk, setup, &att, report);
	if (err)
		return err;
	err = cloopw_sysfs_set_layers(disk->sysfs, att->nr_layers);
	if (!err)
		err = install(disk, att);
	if (err) {
		cloopw_sysfs_set_layers(disk->sysfs, 0);
		cloopw_attachment_destroy(att);
		return err;
	}
	publish(disk, att);
	return 0;
}

/*
 * The caller has the disk open exclusively, or nobody has. A claim keeps others
 * from opening it exclusively meanwhile.
 */
int cloopw_attach(struct cloopw_disk *disk, bool exclusive,
		  const struct cloopw_setup *setup, struct cw_report *report)
{
	struct block_device *bdev = disk->gd->part0;
	int err;

	err = begin_configure(disk);
	if (err)
		return cw_refuse_file(report, err, CLOOPW_R_ATTACHED,
				      disk->gd->disk_name);
	if (!exclusive) {
		err = bd_prepare_to_claim(bdev, disk, NULL);
		if (err) {
			cw_refuse_file(report, err, CLOOPW_R_DEVICE_IN_USE,
				       disk->gd->disk_name);
			goto idle;
		}
	}
	err = attach(disk, setup, report);
	if (!exclusive)
		bd_abort_claiming(bdev, disk);
	if (!err)
		return 0;
idle:
	set_phase(disk, CLOOPW_IDLE);
	return err;
}

/* ---- clear ---- */

static struct cloopw_attachment *uninstall(struct cloopw_disk *disk)
{
	struct request_queue *queue = disk->gd->queue;
	unsigned int memflags = blk_mq_freeze_queue(queue);
	struct cloopw_attachment *att = disk->attachment;

	disk->attachment = NULL;
	blk_mq_unfreeze_queue(queue, memflags);
	return att;
}

/* Undoes publish(), but for the phase and the event. */
static void retract(struct cloopw_disk *disk)
{
	struct gendisk *gd = disk->gd;
	struct device *dev = disk_to_dev(gd);

	dev_set_uevent_suppress(dev, 1);
	invalidate_disk(gd);
	disk_force_media_change(gd);
	set_disk_ro(gd, false);
	set_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	dev_set_uevent_suppress(dev, 0);
	/* Also partitions that other programs added. */
	mutex_lock(&gd->open_mutex);
	if (bdev_disk_changed(gd, false))
		pr_warn("%s: its partitions could not be removed\n",
			gd->disk_name);
	mutex_unlock(&gd->open_mutex);
}

/*
 * Other programs may have written and closed the disk, and writeback may have
 * failed. The first call that finds this reports it, and leaves the disk
 * attached, because there may be room later. The cache may still have the data.
 * The second call detaches.
 */
int cloopw_clear(struct cloopw_disk *disk)
{
	struct cloopw_attachment *att;
	int err = begin_clear(disk);

	if (err)
		return err;
	err = cloopw_disk_sync(disk);
	if (err) {
		pr_err("%s: not detached: not all that was written to it could be stored: %s\n",
		       disk->gd->disk_name, cw_error_text(err));
		set_phase(disk, CLOOPW_ATTACHED);
		return err;
	}
	cloopw_sysfs_set_layers(disk->sysfs, 0);
	att = uninstall(disk);
	retract(disk);
	err = cloopw_attachment_destroy(att);
	if (err)
		pr_err("%s: detached, but not all that was written to it is safe: %s\n",
		       disk->gd->disk_name, cw_error_text(err));
	set_phase(disk, CLOOPW_IDLE);
	kobject_uevent(&disk_to_dev(disk->gd)->kobj, KOBJ_CHANGE);
	module_put(THIS_MODULE); /* not the last: the disk is open */
	return err;
}

/* ---- the same image, with other settings ---- */

/* Keeps the cache's limit and the file. setup has the rest. */
static int attach_again(struct cloopw_disk *disk,
			const struct cloopw_attachment *old,
			const struct cloopw_setup *wanted,
			struct cw_report *report)
{
	struct cloopw_setup *setup;
	struct cw_cache_stats cache;
	int err;

	if (old->nr_layers)
		return cw_refuse_file(report, -EBUSY, CLOOPW_R_HAS_LAYERS,
				      disk->gd->disk_name);
	setup = kmemdup(wanted, sizeof(*wanted), GFP_KERNEL);
	if (!setup)
		return -ENOMEM;
	cw_cache_get_stats(cw_device_cache(old->engine), &cache);
	setup->cache_bytes = cache.limit;
	setup->image_file = old->image->file;
	err = attach(disk, setup, report);
	kfree(setup);
	return err;
}

int cloopw_reattach(struct cloopw_disk *disk, const struct cloopw_setup *setup,
		    struct cw_report *report)
{
	struct cloopw_attachment *old;
	int err = begin_clear(disk);

	if (err)
		return cw_refuse_file(report, err, CLOOPW_R_DEVICE_IN_USE,
				      disk->gd->disk_name);
	old = uninstall(disk);
	retract(disk);
	err = attach_again(disk, old, setup, report);
	if (err && !install(disk, old)) {
		publish(disk, old);
	} else {
		cloopw_attachment_destroy(old);
		if (err)
			set_phase(disk, CLOOPW_IDLE);
	}
	module_put(THIS_MODULE); /* old's, or the second of publish() */
	return err;
}
