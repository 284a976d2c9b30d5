/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interfaces that older kernels lack. The code has the newest kernel's form, and
 * this file gives older kernels that form.
 */
#ifndef CLOOPW_COMPAT_H
#define CLOOPW_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#ifndef CLOOPW_IN_TREE /* scripts/make-patch resolves this file for one kernel */
/*
 * Distributions bring newer interfaces to older kernels, so the headers tell what
 * they have, not the version: probe writes config.h from the list of features.
 */
#include "config.h"

/* Older kernels have a driver's and a table's; newer ones choose by themselves. */
#ifdef CW_HAVE_CRC32C_LE
#define CW_COMPAT_CHOOSE_CRC32C
#endif
#endif

/* ---- memory ---- */

#ifndef CW_HAVE_KZALLOC_OBJ
#undef kzalloc_obj
#define kzalloc_obj(object) kzalloc(sizeof(object), GFP_KERNEL)
#endif

/* ---- opening, releasing and claiming a disk ---- */

#ifndef CW_HAVE_BLK_MODE

typedef fmode_t blk_mode_t;

#define BLK_OPEN_READ FMODE_READ
#define BLK_OPEN_EXCL FMODE_EXCL

/*
 * disk.c's operations have other arguments. Where it defines such a function, a
 * second one of the same name is defined, which calls it, and is the operation.
 */
#define disk_open(gd, mode)                                            \
	cloopw_compat_open(gd, mode);                                  \
	static int disk_open(struct block_device *bdev, fmode_t fmode) \
	{                                                              \
		return cloopw_compat_open(bdev->bd_disk, fmode);       \
	}                                                              \
	static int cloopw_compat_open(gd, mode)

#define disk_release(gd)                                              \
	cloopw_compat_release(gd);                                    \
	static void disk_release(struct gendisk *disk, fmode_t fmode) \
	{                                                             \
		cloopw_compat_release(disk);                          \
	}                                                             \
	static void cloopw_compat_release(gd)

#endif

#ifndef CW_HAVE_HOLDER_OPS

static inline int cloopw_compat_prepare_to_claim(struct block_device *bdev,
						 void *holder, const void *ops)
{
	return bd_prepare_to_claim(bdev, holder);
}

#define bd_prepare_to_claim cloopw_compat_prepare_to_claim

#endif

/* ---- claiming a device below ---- */

#ifndef CW_HAVE_BDEV_FILE

/*
 * The caller keeps what it gets and gives it up. Older kernels have no file, so it
 * is this in truth.
 */
struct cloopw_compat_claim {
	struct block_device *bdev;
	void *holder;
#ifdef CW_HAVE_BDEV_HANDLE
	struct bdev_handle *handle;
#endif
};

#if defined(CW_HAVE_BDEV_HANDLE)

static inline int cloopw_compat_claim(struct cloopw_compat_claim *claim,
				      dev_t dev)
{
	claim->handle = bdev_open_by_dev(dev, BLK_OPEN_READ, claim->holder,
					 NULL);
	return PTR_ERR_OR_ZERO(claim->handle);
}

static inline void cloopw_compat_unclaim(struct cloopw_compat_claim *claim)
{
	bdev_release(claim->handle);
}

#elif defined(CW_HAVE_HOLDER_OPS)

static inline int cloopw_compat_claim(struct cloopw_compat_claim *claim,
				      dev_t dev)
{
	claim->bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ, claim->holder,
					NULL);
	return PTR_ERR_OR_ZERO(claim->bdev);
}

static inline void cloopw_compat_unclaim(struct cloopw_compat_claim *claim)
{
	blkdev_put(claim->bdev, claim->holder);
}

#else

static inline int cloopw_compat_claim(struct cloopw_compat_claim *claim,
				      dev_t dev)
{
	claim->bdev = blkdev_get_by_dev(dev, FMODE_READ | FMODE_EXCL,
					claim->holder);
	return PTR_ERR_OR_ZERO(claim->bdev);
}

static inline void cloopw_compat_unclaim(struct cloopw_compat_claim *claim)
{
	blkdev_put(claim->bdev, FMODE_READ | FMODE_EXCL);
}

#endif

static inline struct file *bdev_file_open_by_dev(dev_t dev, blk_mode_t mode,
						 void *holder, const void *ops)
{
	struct cloopw_compat_claim *claim = kzalloc(sizeof(*claim), GFP_KERNEL);
	int err;

	if (!claim)
		return ERR_PTR(-ENOMEM);
	claim->holder = holder;
	err = cloopw_compat_claim(claim, dev);
	if (!err)
		return (struct file *)claim;
	kfree(claim);
	return ERR_PTR(err);
}

static inline void bdev_fput(struct file *file)
{
	struct cloopw_compat_claim *claim = (struct cloopw_compat_claim *)file;

	cloopw_compat_unclaim(claim);
	kfree(claim);
}

#endif

/* ---- reading and writing files and the page cache ---- */

#ifndef CW_HAVE_WRITE_STARTS

/*
 * A writer holds off the freezing of the file system. vfs_iter_write() does so by
 * itself since there is file_write_not_started(), which checks that no caller did.
 */
static inline ssize_t cloopw_compat_iter_write(struct file *file,
					       struct iov_iter *iter,
					       loff_t *pos, rwf_t flags)
{
	ssize_t n;

	file_start_write(file);
	n = vfs_iter_write(file, iter, pos, flags);
	file_end_write(file);
	return n;
}

#define vfs_iter_write cloopw_compat_iter_write

#endif

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

#ifndef CW_HAVE_ALLOC_DISK_LIMITS
/* Limits of a new disk's queue cannot be given but afterwards. */
#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, limits, queuedata)		\
({									\
	static struct lock_class_key __key;				\
									\
	(void)(limits);							\
	__blk_mq_alloc_disk(set, queuedata, &__key);			\
})
#endif

#ifndef CW_HAVE_FREEZE_MEMFLAGS

/* The freezer of a queue must not wait for requests to it when memory is short. */
static inline unsigned int cloopw_compat_freeze(struct request_queue *queue)
{
	unsigned int memflags = memalloc_noio_save();

	blk_mq_freeze_queue(queue);
	return memflags;
}

static inline void cloopw_compat_unfreeze(struct request_queue *queue,
					  unsigned int memflags)
{
	blk_mq_unfreeze_queue(queue);
	memalloc_noio_restore(memflags);
}

#define blk_mq_freeze_queue cloopw_compat_freeze
#define blk_mq_unfreeze_queue cloopw_compat_unfreeze

#endif

#ifdef CW_HAVE_SHOULD_MERGE

/* Newer queues merge requests where they are not told otherwise. */
static inline int cloopw_compat_alloc_tag_set(struct blk_mq_tag_set *set)
{
	set->flags |= BLK_MQ_F_SHOULD_MERGE;
	return blk_mq_alloc_tag_set(set);
}

#define blk_mq_alloc_tag_set cloopw_compat_alloc_tag_set

#endif

#ifndef CW_HAVE_INT_NODE
/* The last argument was unsigned. */
#define init_request(set, rq, hctx_idx, ...) \
	init_request(set, rq, hctx_idx, unsigned int node)
#endif

#ifndef CW_HAVE_WQ_PERCPU
/* Work goes to the processor that asks for it where nothing else is said. */
#define WQ_PERCPU 0
#endif

/* ---- limits of a queue ---- */

#ifndef CW_HAVE_LIMITS_FEATURES

/* The limits that the driver sets, as newer kernels name them. */
struct cloopw_compat_limits {
	unsigned int features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int chunk_sectors;
	unsigned int max_hw_sectors;
	unsigned int max_segments;
	unsigned int max_segment_size; /* set by the boundary */
	unsigned int discard_granularity;
	unsigned int max_hw_discard_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned long virt_boundary_mask;
};

#define BLK_FEAT_WRITE_CACHE BIT(0)
#define BLK_FEAT_FUA BIT(1)
#define BLK_FEAT_ROTATIONAL BIT(2)

static inline struct cloopw_compat_limits
cloopw_compat_begin_limits(struct request_queue *q)
{
	return (struct cloopw_compat_limits){};
}

/* Nothing may be in flight that relies on the old limits. */
static inline int
cloopw_compat_set_limits(struct request_queue *q,
			 const struct cloopw_compat_limits *lim)
{
	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_io_min(q, lim->io_min);
	blk_queue_io_opt(q, lim->io_opt);
	blk_queue_chunk_sectors(q, lim->chunk_sectors);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	blk_queue_max_segments(q, lim->max_segments);
	blk_queue_virt_boundary(q, lim->virt_boundary_mask);
	q->limits.discard_granularity = lim->max_hw_discard_sectors ?
						lim->discard_granularity : 0;
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	if (!(lim->features & BLK_FEAT_ROTATIONAL))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_write_cache(q, lim->features & BLK_FEAT_WRITE_CACHE,
			      lim->features & BLK_FEAT_FUA);
	return 0;
}

#define queue_limits cloopw_compat_limits
#define queue_limits_start_update cloopw_compat_begin_limits
#define queue_limits_commit_update cloopw_compat_set_limits

#endif

/* ---- shrinkers ---- */

#ifndef CW_HAVE_SHRINKER_ALLOC

/* One whose memory is its own, and which knows its owner. */
struct cloopw_compat_shrinker {
	unsigned long (*count_objects)(struct cloopw_compat_shrinker *shrinker,
				       struct shrink_control *sc);
	unsigned long (*scan_objects)(struct cloopw_compat_shrinker *shrinker,
				      struct shrink_control *sc);
	void *private_data;
	bool registered; /* set when all of that is */
	struct shrinker kernels;
};

static inline unsigned long cloopw_compat_count(struct shrinker *kernels,
						struct shrink_control *sc)
{
	struct cloopw_compat_shrinker *s =
		container_of(kernels, struct cloopw_compat_shrinker, kernels);

	/* pairs with cloopw_compat_shrinker_register() */
	return smp_load_acquire(&s->registered) ? s->count_objects(s, sc) :
						  SHRINK_EMPTY;
}

/* Called when there was something to count. */
static inline unsigned long cloopw_compat_scan(struct shrinker *kernels,
					       struct shrink_control *sc)
{
	struct cloopw_compat_shrinker *s =
		container_of(kernels, struct cloopw_compat_shrinker, kernels);

	return s->scan_objects(s, sc);
}

static inline struct cloopw_compat_shrinker *
cloopw_compat_shrinker_alloc(unsigned int flags, const char *fmt,
			     const char *name)
{
	struct cloopw_compat_shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->kernels.count_objects = cloopw_compat_count;
	s->kernels.scan_objects = cloopw_compat_scan;
	s->kernels.seeks = DEFAULT_SEEKS;
	s->kernels.flags = flags;
	if (!register_shrinker(&s->kernels, fmt, name))
		return s;
	kfree(s);
	return NULL;
}

static inline void
cloopw_compat_shrinker_register(struct cloopw_compat_shrinker *s)
{
	/* pairs with cloopw_compat_count() */
	smp_store_release(&s->registered, true);
}

static inline void cloopw_compat_shrinker_free(struct cloopw_compat_shrinker *s)
{
	if (s)
		unregister_shrinker(&s->kernels);
	kfree(s);
}

#define shrinker cloopw_compat_shrinker
#define shrinker_alloc cloopw_compat_shrinker_alloc
#define shrinker_register cloopw_compat_shrinker_register
#define shrinker_free cloopw_compat_shrinker_free

#endif

#endif
