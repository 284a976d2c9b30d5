// SPDX-License-Identifier: GPL-2.0
/* Makes a disk with all that belongs to it, and removes it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"
#include "disk.h"
#include "ioctl.h"
#include "sysfs.h"

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

static int make_gendisk(struct cloopw_disk *disk)
{
	struct gendisk *gd = blk_mq_alloc_disk(&disk->tags, NULL, disk);

	if (IS_ERR(gd))
		return PTR_ERR(gd);
	gd->major = cloopw_disk_major();
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
