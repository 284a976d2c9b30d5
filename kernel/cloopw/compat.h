/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that are supported: Debian's 6.1 and 6.12.
 * The only place that asks for a kernel version; each threshold is the version
 * that changed the interface.
 */
#ifndef CLOOPW_COMPAT_H
#define CLOOPW_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/shrinker.h>
#include <linux/uio.h>
#include <linux/version.h>

/* ---- opening, releasing and claiming a disk ---- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)

typedef blk_mode_t cw_blk_mode_t;

static inline bool cw_compat_exclusive(cw_blk_mode_t mode)
{
	return mode & BLK_OPEN_EXCL;
}

static inline int cw_compat_claim(struct block_device *bdev, void *holder)
{
	return bd_prepare_to_claim(bdev, holder, NULL);
}

/* Define the operations name##_op that call int or void name(disk). */
#define CW_COMPAT_DEFINE_OPEN(name)				\
	static int name##_op(struct gendisk *disk, blk_mode_t mode)	\
	{								\
		return name(disk);					\
	}
#define CW_COMPAT_DEFINE_RELEASE(name)				\
	static void name##_op(struct gendisk *disk)			\
	{								\
		name(disk);						\
	}

#else

typedef fmode_t cw_blk_mode_t;

static inline bool cw_compat_exclusive(cw_blk_mode_t mode)
{
	return mode & FMODE_EXCL;
}

static inline int cw_compat_claim(struct block_device *bdev, void *holder)
{
	return bd_prepare_to_claim(bdev, holder);
}

#define CW_COMPAT_DEFINE_OPEN(name)				\
	static int name##_op(struct block_device *bdev, fmode_t mode)	\
	{								\
		return name(bdev->bd_disk);				\
	}
#define CW_COMPAT_DEFINE_RELEASE(name)				\
	static void name##_op(struct gendisk *disk, fmode_t mode)	\
	{								\
		name(disk);						\
	}

#endif

/* ---- claiming a device below ---- */

/*
 * As an exclusive open has it; who has the same holder can claim it, too. Given
 * up by cw_compat_give_up_device(), at once. ERR_PTR(-EBUSY): others have it.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)

typedef struct file cw_claim_t;

static inline cw_claim_t *cw_compat_claim_device(struct block_device *bdev,
						 void *holder)
{
	return bdev_file_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, holder, NULL);
}

static inline void cw_compat_give_up_device(cw_claim_t *claim)
{
	bdev_fput(claim);
}

#else

typedef struct block_device cw_claim_t;

static inline cw_claim_t *cw_compat_claim_device(struct block_device *bdev,
						 void *holder)
{
	return blkdev_get_by_dev(bdev->bd_dev, FMODE_READ | FMODE_EXCL, holder);
}

static inline void cw_compat_give_up_device(cw_claim_t *claim)
{
	blkdev_put(claim, FMODE_READ | FMODE_EXCL);
}

#endif

/* Who writes holds off the freezing of the file system. */
static inline ssize_t cw_compat_iter_write(struct file *file,
					   struct iov_iter *iter, loff_t *pos)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return vfs_iter_write(file, iter, pos, 0);
#else
	ssize_t n;

	file_start_write(file);
	n = vfs_iter_write(file, iter, pos, 0);
	file_end_write(file);
	return n;
#endif
}

/* Gives the disk a new sequence number; what was cached of it is void. */
static inline void cw_compat_new_medium(struct gendisk *disk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	disk_force_media_change(disk);
#else
	disk_force_media_change(disk, DISK_EVENT_MEDIA_CHANGE);
#endif
}

/* The page cache of a block device. */
static inline struct address_space *cw_compat_mapping(struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	return bdev->bd_mapping;
#else
	return bdev->bd_inode->i_mapping;
#endif
}

static inline struct gendisk *cw_compat_alloc_disk(struct blk_mq_tag_set *tags,
						   void *queuedata)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	return blk_mq_alloc_disk(tags, NULL, queuedata);
#else
	return blk_mq_alloc_disk(tags, queuedata);
#endif
}

/* ---- limits of a queue ---- */

struct cw_limits {
	u32 physical_block; /* bytes, as all here */
	u32 io_opt;
	u32 chunk;          /* requests do not cross a multiple; 0: any */
	u32 max_transfer;
	u32 max_change;     /* of one discard or write-zeroes */
	bool writable;      /* volatile cache and FUA, pages stable */
	bool discard;
	bool zero;
};

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)

/* Nothing may be in flight that relies on the old limits. */
static inline int cw_compat_set_limits(struct gendisk *disk,
				       const struct cw_limits *limits)
{
	const blk_features_t writing = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA |
				       BLK_FEAT_STABLE_WRITES;
	struct queue_limits lim = queue_limits_start_update(disk->queue);

	lim.logical_block_size = SECTOR_SIZE;
	lim.physical_block_size = limits->physical_block;
	lim.io_min = limits->physical_block;
	lim.io_opt = limits->io_opt;
	lim.chunk_sectors = limits->chunk >> SECTOR_SHIFT;
	lim.max_hw_sectors = limits->max_transfer >> SECTOR_SHIFT;
	lim.virt_boundary_mask = PAGE_SIZE - 1;
	lim.max_segment_size = UINT_MAX;
	lim.discard_granularity = limits->physical_block;
	lim.max_hw_discard_sectors =
		limits->discard ? limits->max_change >> SECTOR_SHIFT : 0;
	lim.max_write_zeroes_sectors =
		limits->zero ? limits->max_change >> SECTOR_SHIFT : 0;
	lim.features &= ~(BLK_FEAT_ROTATIONAL | writing);
	if (limits->writable)
		lim.features |= writing;
	return queue_limits_commit_update(disk->queue, &lim);
}

#else

/* Nothing may be in flight that relies on the old limits. */
static inline int cw_compat_set_limits(struct gendisk *disk,
				       const struct cw_limits *limits)
{
	struct request_queue *q = disk->queue;

	blk_queue_logical_block_size(q, SECTOR_SIZE);
	blk_queue_physical_block_size(q, limits->physical_block);
	blk_queue_io_min(q, limits->physical_block);
	blk_queue_io_opt(q, limits->io_opt);
	blk_queue_chunk_sectors(q, limits->chunk >> SECTOR_SHIFT);
	blk_queue_max_hw_sectors(q, limits->max_transfer >> SECTOR_SHIFT);
	blk_queue_virt_boundary(q, PAGE_SIZE - 1);
	q->limits.discard_granularity =
		limits->discard ? limits->physical_block : 0;
	blk_queue_max_discard_sectors(q, limits->discard ?
				      limits->max_change >> SECTOR_SHIFT : 0);
	blk_queue_max_write_zeroes_sectors(q, limits->zero ?
				      limits->max_change >> SECTOR_SHIFT : 0);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_write_cache(q, limits->writable, limits->writable);
	if (limits->writable)
		blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	else
		blk_queue_flag_clear(QUEUE_FLAG_STABLE_WRITES, q);
	return 0;
}

#endif

/* ---- shrinkers ---- */

struct cw_compat_shrinker {
	void *owner;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
};

typedef unsigned long (*cw_shrink_fn)(struct shrinker *shrinker,
				      struct shrink_control *sc);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

static inline void *cw_compat_shrinker_owner(struct shrinker *shrinker)
{
	return shrinker->private_data;
}

static inline int cw_compat_shrinker_start(struct cw_compat_shrinker *s,
					   cw_shrink_fn count,
					   cw_shrink_fn scan, void *owner,
					   const char *name)
{
	s->shrinker = shrinker_alloc(0, "%s", name);
	if (!s->shrinker)
		return -ENOMEM;
	s->owner = owner;
	s->shrinker->count_objects = count;
	s->shrinker->scan_objects = scan;
	s->shrinker->private_data = owner;
	shrinker_register(s->shrinker);
	return 0;
}

/* Accepts one that was never started. */
static inline void cw_compat_shrinker_stop(struct cw_compat_shrinker *s)
{
	shrinker_free(s->shrinker);
	s->shrinker = NULL;
}

#else

static inline void *cw_compat_shrinker_owner(struct shrinker *shrinker)
{
	return container_of(shrinker, struct cw_compat_shrinker,
			    shrinker)->owner;
}

static inline int cw_compat_shrinker_start(struct cw_compat_shrinker *s,
					   cw_shrink_fn count,
					   cw_shrink_fn scan, void *owner,
					   const char *name)
{
	int err;

	s->shrinker.count_objects = count;
	s->shrinker.scan_objects = scan;
	s->shrinker.seeks = DEFAULT_SEEKS;
	s->owner = owner;
	err = register_shrinker(&s->shrinker, "%s", name);
	if (err)
		s->owner = NULL;
	return err;
}

/* Accepts one that was never started. */
static inline void cw_compat_shrinker_stop(struct cw_compat_shrinker *s)
{
	if (s->owner)
		unregister_shrinker(&s->shrinker);
	s->owner = NULL;
}

#endif

#endif
