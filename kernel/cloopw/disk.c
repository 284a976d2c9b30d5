// SPDX-License-Identifier: GPL-2.0
#include "disk.h"

#include <linux/blkdev.h>

#include "attachment.h"
#include "compat.h"

static int major; /* constant after init */

int cloopw_disk_init(void)
{
	major = register_blkdev(0, "cloopw");
	return major < 0 ? major : 0;
}

void cloopw_disk_exit(void)
{
	unregister_blkdev(major, "cloopw");
}

int cloopw_disk_major(void)
{
	return major;
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
	return gd->major == major;
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

/* Nobody has claimed the disk, so no file system keeps pages of it. */
void cloopw_disk_drop_cached(struct cloopw_disk *disk)
{
	struct gendisk *gd = disk->gd;
	struct block_device *part;
	unsigned long i;

	mutex_lock(&gd->open_mutex); /* partitions do not come or go */
	xa_for_each(&gd->part_tbl, i, part)
		truncate_inode_pages(part->bd_mapping, 0);
	mutex_unlock(&gd->open_mutex);
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
