/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The differences between kernels. The code has the newest kernel's form; this
 * file gives older kernels that form. Distributions bring newer interfaces to
 * older kernels. So config.h tells what the headers have, not the version.
 * probe writes config.h from the list of features.
 */
#ifndef CLOOPW_COMPAT_H
#define CLOOPW_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "config.h"

/* ---- opening, releasing and claiming a disk ---- */

#ifdef CW_HAVE_BLK_MODE

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

typedef fmode_t blk_mode_t;

#define BLK_OPEN_READ FMODE_READ
#define BLK_OPEN_EXCL FMODE_EXCL

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

#ifndef CW_HAVE_HOLDER_OPS

static inline int cw_compat_prepare_to_claim(struct block_device *bdev,
					     void *holder, const void *ops)
{
	return bd_prepare_to_claim(bdev, holder);
}

#define bd_prepare_to_claim cw_compat_prepare_to_claim

#endif

/* ---- claiming a device below ---- */

/*
 * Claims a device, like an exclusive open. Another claim with the same holder
 * succeeds, too. cw_compat_give_up_device() ends it at once. ERR_PTR(-EBUSY):
 * others have the device.
 */
#if defined(CW_HAVE_BDEV_FILE)

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

#elif defined(CW_HAVE_BDEV_HANDLE)

typedef struct bdev_handle cw_claim_t;

static inline cw_claim_t *cw_compat_claim_device(struct block_device *bdev,
						 void *holder)
{
	return bdev_open_by_dev(bdev->bd_dev, BLK_OPEN_READ, holder, NULL);
}

static inline void cw_compat_give_up_device(cw_claim_t *claim)
{
	bdev_release(claim);
}

#elif defined(CW_HAVE_HOLDER_OPS)

/* The release needs the holder, so the claim keeps it. */
typedef struct cw_claimed {
	struct block_device *bdev;
	void *holder;
} cw_claim_t;

static inline cw_claim_t *cw_compat_claim_device(struct block_device *bdev,
						 void *holder)
{
	cw_claim_t *claim = kmalloc(sizeof(*claim), GFP_KERNEL);

	if (!claim)
		return ERR_PTR(-ENOMEM);
	claim->bdev = blkdev_get_by_dev(bdev->bd_dev, BLK_OPEN_READ, holder,
					NULL);
	claim->holder = holder;
	if (IS_ERR(claim->bdev)) {
		bdev = claim->bdev;
		kfree(claim);
		return ERR_CAST(bdev);
	}
	return claim;
}

static inline void cw_compat_give_up_device(cw_claim_t *claim)
{
	blkdev_put(claim->bdev, claim->holder);
	kfree(claim);
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

/* ---- reading and writing files and the page cache ---- */

/*
 * A writer holds off the freezing of the file system. On kernels where
 * vfs_iter_write() does that itself, the caller must not.
 */
static inline ssize_t cw_compat_iter_write(struct file *file,
					   struct iov_iter *iter, loff_t *pos)
{
#ifdef CW_HAVE_WRITE_STARTS
	return vfs_iter_write(file, iter, pos, 0);
#else
	ssize_t n;

	file_start_write(file);
	n = vfs_iter_write(file, iter, pos, 0);
	file_end_write(file);
	return n;
#endif
}

#ifndef CW_HAVE_BD_MAPPING
#define bd_mapping bd_inode->i_mapping
#endif

#ifndef CW_HAVE_BVEC_SET_PAGE
static inline void bvec_set_page(struct bio_vec *bv, struct page *page,
				 unsigned int len, unsigned int offset)
{
	bv->bv_page = page;
	bv->bv_len = len;
	bv->bv_offset = offset;
}
#endif

#ifndef CW_HAVE_BI_OFFSET
#define bi_offset bi_bvec_done
#endif

/* ---- disks and their queues ---- */

#ifndef CW_HAVE_MEDIA_CHANGE
#define disk_force_media_change(disk) \
	disk_force_media_change(disk, DISK_EVENT_MEDIA_CHANGE)
#endif

/* On these kernels a new disk's limits can only be set afterwards. */
#ifndef CW_HAVE_ALLOC_DISK_LIMITS
#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, limits, queuedata)		\
({									\
	static struct lock_class_key __key;				\
									\
	(void)(limits);							\
	__blk_mq_alloc_disk(set, queuedata, &__key);			\
})
#endif

/*
 * A thread that freezes a queue must not wait for its requests to get memory.
 */
#ifndef CW_HAVE_FREEZE_MEMFLAGS

static inline unsigned int cw_compat_freeze(struct request_queue *queue)
{
	unsigned int memflags = memalloc_noio_save();

	blk_mq_freeze_queue(queue);
	return memflags;
}

static inline void cw_compat_unfreeze(struct request_queue *queue,
				      unsigned int memflags)
{
	blk_mq_unfreeze_queue(queue);
	memalloc_noio_restore(memflags);
}

#define blk_mq_freeze_queue cw_compat_freeze
#define blk_mq_unfreeze_queue cw_compat_unfreeze

#endif

/* The flags of an ordinary queue. */
#ifdef CW_HAVE_SHOULD_MERGE
#define CW_COMPAT_TAG_FLAGS BLK_MQ_F_SHOULD_MERGE
#else
#define CW_COMPAT_TAG_FLAGS 0
#endif

#ifdef CW_HAVE_INT_NODE
typedef int cw_node_t;
#else
typedef unsigned int cw_node_t;
#endif

/* On these kernels work without WQ_UNBOUND stays on its processor. */
#ifndef CW_HAVE_WQ_PERCPU
#define WQ_PERCPU 0
#endif

/* ---- limits of a queue ---- */

struct cw_limits {
	u32 physical_block; /* bytes, like all of these */
	u32 io_opt;
	u32 chunk;          /* requests do not cross a multiple; 0: any */
	u32 max_transfer;
	u32 max_segments;
	u32 max_change;     /* length of one discard or write-zeroes */
	bool writable;      /* volatile cache and FUA */
	bool discard;
	bool zero;
};

#ifdef CW_HAVE_LIMITS_FEATURES

/* Call it before the freeze: a change of limits in sysfs has the same order. */
static inline struct queue_limits cw_compat_begin_limits(struct gendisk *disk)
{
	return queue_limits_start_update(disk->queue);
}

/* Ends the change. Nothing may be in flight that relies on the old limits. */
static inline int cw_compat_set_limits(struct gendisk *disk,
				       struct queue_limits *lim,
				       const struct cw_limits *limits)
{
	const blk_features_t writing = BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;

	lim->logical_block_size = SECTOR_SIZE;
	lim->physical_block_size = limits->physical_block;
	lim->io_min = limits->physical_block;
	lim->io_opt = limits->io_opt;
	lim->chunk_sectors = limits->chunk >> SECTOR_SHIFT;
	lim->max_hw_sectors = limits->max_transfer >> SECTOR_SHIFT;
	lim->max_segments = limits->max_segments;
	lim->virt_boundary_mask = PAGE_SIZE - 1;
	lim->max_segment_size = UINT_MAX;
	lim->discard_granularity = limits->physical_block;
	lim->max_hw_discard_sectors =
		limits->discard ? limits->max_change >> SECTOR_SHIFT : 0;
	lim->max_write_zeroes_sectors =
		limits->zero ? limits->max_change >> SECTOR_SHIFT : 0;
	lim->features &= ~(BLK_FEAT_ROTATIONAL | writing);
	if (limits->writable)
		lim->features |= writing;
	return queue_limits_commit_update(disk->queue, lim);
}

#else

static inline struct queue_limits cw_compat_begin_limits(struct gendisk *disk)
{
	return disk->queue->limits;
}

/* Nothing may be in flight that relies on the old limits. */
static inline int cw_compat_set_limits(struct gendisk *disk,
				       struct queue_limits *lim,
				       const struct cw_limits *limits)
{
	struct request_queue *q = disk->queue;

	blk_queue_logical_block_size(q, SECTOR_SIZE);
	blk_queue_physical_block_size(q, limits->physical_block);
	blk_queue_io_min(q, limits->physical_block);
	blk_queue_io_opt(q, limits->io_opt);
	blk_queue_chunk_sectors(q, limits->chunk >> SECTOR_SHIFT);
	blk_queue_max_hw_sectors(q, limits->max_transfer >> SECTOR_SHIFT);
	blk_queue_max_segments(q, limits->max_segments);
	blk_queue_virt_boundary(q, PAGE_SIZE - 1);
	q->limits.discard_granularity =
		limits->discard ? limits->physical_block : 0;
	blk_queue_max_discard_sectors(q, limits->discard ?
				      limits->max_change >> SECTOR_SHIFT : 0);
	blk_queue_max_write_zeroes_sectors(q, limits->zero ?
				      limits->max_change >> SECTOR_SHIFT : 0);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_write_cache(q, limits->writable, limits->writable);
	return 0;
}

#endif

/* ---- shrinkers ---- */

struct cw_compat_shrinker {
	void *owner;
#ifdef CW_HAVE_SHRINKER_ALLOC
	struct shrinker *shrinker;
#else
	struct shrinker shrinker;
#endif
};

typedef unsigned long (*cw_shrink_fn)(struct shrinker *shrinker,
				      struct shrink_control *sc);

#ifdef CW_HAVE_SHRINKER_ALLOC

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

/* ---- CRC-32C ---- */

/* Older kernels have a driver's and a table's; newer ones choose themselves. */
#ifdef CW_HAVE_CRC32C_LE
#define CW_COMPAT_CHOOSE_CRC32C
#endif

#endif
