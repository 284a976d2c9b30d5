// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "configure.h"

#include <linux/blk-mq.h>
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attachment.h"
#include "change.h"
#include "disk.h"
#include "loop_compat.h"
#include "sysfs.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_config) == CLOOPW_CONFIG_SIZE_1);
static_assert(sizeof(struct cloopw_status) == CLOOPW_STATUS_SIZE_1);
static_assert(CLOOPW_MAX_LAYERS == CW_MAX_LAYERS);
static_assert(sizeof(struct cloopw_reason) == CLOOPW_REASON_SIZE_1);
static_assert(CW_LABEL_LEN + 1 == CLOOPW_LABEL_LEN);

/* ---- the arguments ---- */

/* On the heap: too large for the stack below file systems. */
struct config_request {
	struct cloopw_config config;
	struct cloopw_setup setup;
	struct cw_report report;
};

int cloopw_read_size(const void __user *arg, size_t least, u32 *size)
{
	if (get_user(*size, (const u32 __user *)arg))
		return -EFAULT;
	if (*size < least)
		return -EINVAL;
	return *size > PAGE_SIZE ? -E2BIG : 0;
}

int cloopw_read_request(void *request, size_t len, const void __user *arg,
			size_t least)
{
	u32 size;
	int err = cloopw_read_size(arg, least, &size);

	return err ? err : copy_struct_from_user(request, len, arg, size);
}

int cloopw_check_window(u64 offset, u64 sizelimit, struct cw_report *report)
{
	u64 end;

	if (offset % SECTOR_SIZE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_WINDOW,
				 "offset %llu is not a multiple of %u", offset,
				 SECTOR_SIZE);
	if (cw_add_overflows(offset, sizelimit, &end) || end > LLONG_MAX)
		return cw_refuse(report, -EOVERFLOW, CLOOPW_R_BAD_WINDOW,
				 "offset and size limit are too large");
	return 0;
}

static int check_config(const struct cloopw_config *config,
			struct cw_report *report)
{
	if (config->flags & ~CLOOPW_F_ALL)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x",
				 config->flags & ~CLOOPW_F_ALL);
	if (config->nr_layers > CLOOPW_MAX_LAYERS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TOO_MANY_LAYERS,
				 "%u COW layers are more than %u",
				 config->nr_layers, CLOOPW_MAX_LAYERS);
	return cloopw_check_window(config->offset, config->sizelimit, report);
}

static int find_format(const struct cloopw_config *config,
		       const struct cw_image_format **format,
		       struct cw_report *report)
{
	*format = NULL;
	if (strnlen(config->format, sizeof(config->format)) ==
	    sizeof(config->format))
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "the format's name does not end");
	if (!config->format[0])
		return 0;
	*format = cw_image_format_by_name(config->format);
	if (!*format)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NO_FORMAT,
				 "unknown format '%s'", config->format);
	return 0;
}

static int decode_config(struct config_request *request)
{
	const struct cloopw_config *config = &request->config;
	struct cloopw_setup *setup = &request->setup;
	int err;

	err = check_config(config, &request->report);
	if (!err)
		err = find_format(config, &setup->format, &request->report);
	if (err)
		return err;
	setup->flags = config->flags;
	setup->image_fd = config->image_fd;
	setup->nr_layers = config->nr_layers;
	setup->offset = config->offset;
	setup->sizelimit = config->sizelimit;
	setup->cache_bytes = config->cache_bytes;
	if (copy_from_user(setup->layer_fds, u64_to_user_ptr(config->layer_fds),
			   config->nr_layers * sizeof(setup->layer_fds[0])))
		return -EFAULT;
	return 0;
}

/* A bad address of the reason is not another failure. */
void cloopw_write_reason(const struct cw_report *report, u64 address)
{
	struct cloopw_reason __user *reason = u64_to_user_ptr(address);
	u32 size;

	if (!address)
		return;
	if (cloopw_read_size(reason, CLOOPW_REASON_SIZE_1, &size) ||
	    put_user(report->code, &reason->code) ||
	    copy_to_user(reason->text, report->text, strlen(report->text) + 1))
		pr_debug("the reason's address is bad\n");
}

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

static int configure(struct cloopw_disk *disk, bool exclusive,
		     const void __user *arg)
{
	struct config_request *request;
	int err;

	request = kzalloc_obj(*request);
	if (!request)
		return -ENOMEM;
	err = cloopw_read_request(&request->config, sizeof(request->config),
				  arg, CLOOPW_CONFIG_SIZE_1);
	if (err)
		goto free;
	err = decode_config(request);
	if (!err)
		err = cloopw_attach(disk, exclusive, &request->setup,
				    &request->report);
	if (err)
		cloopw_write_reason(&request->report, request->config.reason);
free:
	kfree(request);
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

/* ---- status ---- */

static void fill_image(const struct cloopw_attachment *att,
		       struct cloopw_status *status)
{
	const struct cw_image *image = att->info.image;

	status->image_size = image->size;
	status->image_stored = image->stored_bytes;
	status->offset = att->offset;
	status->sizelimit = att->sizelimit;
	status->image_dev = att->image->dev;
	status->image_ino = att->image->ino;
	status->block_size = image->block_size;
	memcpy(status->uuid, image->uuid, sizeof(status->uuid));
	strscpy(status->label, image->label, sizeof(status->label));
	strscpy(status->format, image->format->name, sizeof(status->format));
}

static void fill_stats(const struct cloopw_attachment *att,
		       struct cloopw_status *status)
{
	struct cw_device_stats stats;

	cw_device_get_stats(att->engine, &stats);
	status->cow_live = stats.cow.live_bytes;
	status->cow_dead = stats.cow.dead_bytes;
	status->cow_total = stats.cow.total_bytes;
	status->cow_plain = stats.cow.plain_bytes;
	status->cache_hits = stats.cache.hits;
	status->cache_misses = stats.cache.misses;
	status->cache_bytes = stats.cache.bytes;
	status->cache_limit = stats.cache.limit;
	status->read_errors = stats.read_errors;
	status->write_errors = stats.write_errors;
}

static enum cloopw_state state_of(const struct cloopw_attachment *att)
{
	static const enum cloopw_state states[] = {
		[CW_COW_OK] = CLOOPW_STATE_OK,
		[CW_COW_FULL] = CLOOPW_STATE_FULL,
		[CW_COW_READ_ONLY] = CLOOPW_STATE_READ_ONLY,
		[CW_COW_FAILED] = CLOOPW_STATE_FAILED,
	};
	struct cw_cow_space space;

	cw_device_get_space(att->engine, &space);
	return states[space.state];
}

static void fill_status(const struct cloopw_attachment *att,
			struct cloopw_status *status)
{
	const struct cw_layers *layers = cw_device_layers(att->engine);

	status->state = state_of(att);
	status->flags = att->flags & ~CLOOPW_F_DIRECT_IO;
	if (cw_backing_direct_mode(att->image) == CW_DIRECT_ON)
		status->flags |= CLOOPW_F_DIRECT_IO;
	if (!att->info.writable)
		status->flags |= CLOOPW_F_READ_ONLY;
	status->nr_layers = layers->nr;
	status->device_size = att->info.size;
	if (layers->nr)
		strscpy(status->cow_format, layers->layer[0]->format->name,
			sizeof(status->cow_format));
	fill_image(att, status);
	fill_stats(att, status);
}

static int get_status(struct cloopw_disk *disk, void __user *arg)
{
	struct cloopw_status status = {};
	size_t known;
	u32 size;
	int err;

	err = cloopw_read_size(arg, CLOOPW_STATUS_SIZE_1, &size);
	if (err)
		return err;
	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_ATTACHED)
		fill_status(disk->attachment, &status);
	mutex_unlock(&disk->lock);
	known = min_t(size_t, size, sizeof(status));
	status.size = known;
	if (copy_to_user(arg, &status, known) ||
	    clear_user(arg + known, size - known))
		return -EFAULT;
	return 0;
}

/* ---- the door ---- */

int cloopw_ioctl(struct block_device *bdev, blk_mode_t mode,
		 unsigned int cmd, unsigned long arg)
{
	struct cloopw_disk *disk = bdev->bd_disk->private_data;

	if (!cloopw_is_loop_ioctl(cmd) &&
	    _IOC_TYPE(cmd) != CLOOPW_IOC_MAGIC)
		return -ENOTTY;
	if (bdev_is_partition(bdev))
		return -EINVAL;
	if (cmd == CLOOPW_GET_STATUS)
		return get_status(disk, (void __user *)arg);
	if (cloopw_is_loop_ioctl(cmd))
		return cloopw_loop_ioctl(disk, mode & BLK_OPEN_EXCL, cmd,
					 arg);
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case CLOOPW_CONFIGURE:
		return configure(disk, mode & BLK_OPEN_EXCL,
				 (const void __user *)arg);
	case CLOOPW_CLEAR:
		return cloopw_clear(disk);
	default:
		return cloopw_change_ioctl(disk, cmd, (void __user *)arg);
	}
}
