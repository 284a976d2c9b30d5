// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "disk.h"

#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "attachment.h"
#include "compat.h"
#include "configure.h"
#include "sysfs.h"

static int major; /* constant after init */

static int disk_open(struct gendisk *gd, blk_mode_t mode)
{
	struct cloopw_disk *disk = gd->private_data;
	int err = 0;

	mutex_lock(&disk->lock);
	if (disk->phase == CLOOPW_CLEARING || disk->phase == CLOOPW_REMOVED)
		err = -ENXIO;
	else
		disk->openers++;
	mutex_unlock(&disk->lock);
	return err;
}

static void disk_release(struct gendisk *gd)
{
	struct cloopw_disk *disk = gd->private_data;

	mutex_lock(&disk->lock);
	disk->openers--;
	mutex_unlock(&disk->lock);
}

static const struct block_device_operations disk_ops = {
	.owner = THIS_MODULE,
	.open = disk_open,
	.release = disk_release,
	.ioctl = cloopw_ioctl,
	.compat_ioctl = blkdev_compat_ptr_ioctl,
};

int cloopw_disk_init(void)
{
	major = register_blkdev(0, "cloopw");
	return major < 0 ? major : 0;
}

void cloopw_disk_exit(void)
{
	unregister_blkdev(major, "cloopw");
}

bool cloopw_disk_is_idle(struct cloopw_disk *disk)
{
	bool idle;

	mutex_lock(&disk->lock);
	idle = disk->phase == CLOOPW_IDLE;
	mutex_unlock(&disk->lock);
	return idle;
}

bool cloopw_is_ours(const struct gendisk *gd)
{
	return gd->fops == &disk_ops;
}

bool cloopw_is_unattached(struct gendisk *gd)
{
	struct cloopw_disk *disk = gd->private_data;
	bool attached;

	if (!cloopw_is_ours(gd))
		return false;
	mutex_lock(&disk->lock);
	attached = disk->phase == CLOOPW_ATTACHED;
	mutex_unlock(&disk->lock);
	return !attached;
}

int cloopw_disk_hold(struct cloopw_disk *disk, bool alone)
{
	int err = 0;

	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_IDLE)
		err = -ENXIO;
	else if (disk->phase != CLOOPW_ATTACHED || (alone && disk->changing))
		err = -EBUSY;
	if (!err) {
		disk->holders++;
		if (alone)
			disk->changing = true;
	}
	mutex_unlock(&disk->lock);
	return err;
}

void cloopw_disk_release(struct cloopw_disk *disk, bool alone)
{
	mutex_lock(&disk->lock);
	disk->holders--;
	if (alone)
		disk->changing = false;
	mutex_unlock(&disk->lock);
}

/*
 * The last close of a device writes back, too, and can report an error to
 * nobody. The page cache keeps the error until a caller asks, as here.
 */
static int sync_cached(struct block_device *bdev)
{
	struct address_space *mapping = bdev->bd_mapping;
	errseq_t told = errseq_sample(&mapping->wb_err);
	int err = sync_blockdev(bdev);
	int earlier = errseq_check_and_advance(&mapping->wb_err, &told);

	return err ? err : earlier;
}

static bool is_full(const struct cloopw_attachment *att)
{
	struct cw_cow_space space;

	cw_device_get_space(att->engine, &space);
	return space.state == CW_COW_FULL;
}

int cloopw_disk_sync(struct cloopw_disk *disk)
{
	struct gendisk *gd = disk->gd;
	struct block_device *part;
	unsigned long i;
	int err = 0;

	mutex_lock(&gd->open_mutex); /* partitions do not come or go */
	xa_for_each(&gd->part_tbl, i, part) {
		int part_err = sync_cached(part);

		err = err ? err : part_err;
	}
	mutex_unlock(&gd->open_mutex);
	/* The page cache reports all errors as -EIO. */
	if (err == -EIO && is_full(disk->attachment))
		err = -ENOSPC;
	return err;
}

static int make_gendisk(struct cloopw_disk *disk)
{
	struct gendisk *gd = blk_mq_alloc_disk(&disk->tags, NULL, disk);

	if (IS_ERR(gd))
		return PTR_ERR(gd);
	gd->major = major;
	gd->first_minor = disk->number;
	gd->minors = 1; /* partitions get theirs from the common range */
	gd->fops = &disk_ops;
	gd->private_data = disk;
	snprintf(gd->disk_name, sizeof(gd->disk_name), "cloopw%d",
		 disk->number);
	/* Partitions are only for an attach that asks for them. */
	set_bit(GD_SUPPRESS_PART_SCAN, &gd->state);
	disk->gd = gd;
	return 0;
}

struct cloopw_disk *cloopw_disk_add(int number)
{
	struct cloopw_disk *disk = kzalloc_obj(*disk);
	int err;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->number = number;
	disk->phase = CLOOPW_CONFIGURING; /* nobody else, until it is made */
	mutex_init(&disk->lock);
	err = cloopw_queue_init(disk);
	if (err)
		goto free_disk;
	err = make_gendisk(disk);
	if (err)
		goto exit_queue;
	err = device_add_disk(NULL, disk->gd, NULL);
	if (err)
		goto put_gendisk;
	/*
	 * The disk may be open by now, so it stays even without the directory.
	 */
	disk->sysfs = cloopw_sysfs_add(disk->gd);
	if (!disk->sysfs)
		pr_warn("%s: no memory for its directory in sysfs\n",
			disk->gd->disk_name);
	mutex_lock(&disk->lock);
	disk->phase = CLOOPW_IDLE;
	mutex_unlock(&disk->lock);
	return disk;

put_gendisk:
	put_disk(disk->gd);
exit_queue:
	cloopw_queue_exit(disk);
free_disk:
	mutex_destroy(&disk->lock);
	kfree(disk);
	return ERR_PTR(err);
}

/*
 * Nobody has the disk open. An open meanwhile fails under open_mutex.
 * del_gendisk() takes that, too, so nobody knows the disk afterwards.
 */
int cloopw_disk_remove(struct cloopw_disk *disk)
{
	int err = 0;

	mutex_lock(&disk->lock);
	if (disk->phase != CLOOPW_IDLE || disk->openers)
		err = -EBUSY;
	else
		disk->phase = CLOOPW_REMOVED;
	mutex_unlock(&disk->lock);
	if (err)
		return err;
	cloopw_sysfs_remove(disk->sysfs);
	del_gendisk(disk->gd);
	cloopw_queue_exit(disk);
	put_disk(disk->gd);
	mutex_destroy(&disk->lock);
	kfree(disk);
	return 0;
}
