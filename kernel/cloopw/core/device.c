// SPDX-License-Identifier: GPL-2.0
#include "device.h"

/*
 * Writes go to the top layer in regions of this size. Each region has a lock,
 * which it shares with other regions. A writer of whole granules holds the lock
 * shared. A writer of a part of a granule holds it exclusively: it reads the
 * rest, merges the two and writes the granule. So no other write falls in
 * between.
 *
 * A call that changes many regions at once does not take all their locks. It
 * takes merge_lock exclusively. All threads that merge granules hold merge_lock
 * shared.
 */
#define REGION_SHIFT 16
#define REGION_SIZE BIT(REGION_SHIFT)
#define REGION_LOCKS 64u

struct cw_device {
	u64 size; /* cw_load_acquire(): cw_device_resize() changes it */
	bool writable; /* all of these are constant after open */
	struct cw_cache *cache;
	struct cw_image *image;
	/*
	 * A snapshot replaces it, with top_lock held exclusively. Writers hold
	 * top_lock shared. A reader takes the layers of the moment, which stay
	 * as they are.
	 */
	struct cw_layers *layers;      /* cw_load_acquire() */
	/* one snapshot at a time; before top_lock */
	struct cw_mutex snapshot_lock;
	struct cw_rwsem top_lock;      /* before merge_lock */
	struct cw_rwsem merge_lock;    /* before a region_lock */
	struct cw_rwsem region_lock[REGION_LOCKS];
	struct cw_mutex spare_lock;    /* after a region_lock */
	u8 *spare;                     /* spare_lock: a granule of its own */
	struct cw_atomic64 read_errors;
	struct cw_atomic64 write_errors;
};

static struct cw_layers *layers_of(const struct cw_device *dev)
{
	return cw_load_acquire(&dev->layers);
}

/* NULL: there is none. */
static struct cw_cow *top_of(const struct cw_device *dev)
{
	const struct cw_layers *layers = layers_of(dev);

	return layers->nr ? layers->layer[0] : NULL;
}

static u64 size_of(const struct cw_device *dev)
{
	return cw_load_acquire(&dev->size);
}

/* A layer may be longer than the image, which ends with zeros then. */
static void set_size(struct cw_device *dev)
{
	const struct cw_cow *top = top_of(dev);

	cw_store_release(&dev->size,
			 top ? top->size : cw_round_up(dev->image->size,
						       CW_SECTOR_SIZE));
}

static int open_layers(struct cw_device *dev,
		       const struct cw_device_config *config,
		       struct cw_report *report)
{
	struct cw_cow_base base = {
		.size = cw_round_up(dev->image->size, CW_SECTOR_SIZE),
		.mtime = config->base->mtime,
		.name = config->base->name,
	};

	base.digest = dev->image->digest;
	memcpy(base.uuid, dev->image->uuid, CW_UUID_LEN);
	dev->writable = config->nr_layers && !config->read_only;
	return cw_layers_open(config->layers, config->nr_layers, dev->writable,
			      dev->cache, &base, &dev->layers, report);
}

/* Layers that come later are logs, whose granule is a page. */
static int make_spare(struct cw_device *dev)
{
	dev->spare = cw_alloc_raw(cw_max(top_of(dev)->granularity,
					 CW_PAGE_SIZE));
	return dev->spare ? 0 : -ENOMEM;
}

static void free_device(struct cw_device *dev)
{
	u32 i;

	cw_layers_close(dev->layers);
	cw_image_close(dev->image);
	cw_cache_destroy(dev->cache);
	for (i = 0; i < REGION_LOCKS; i++)
		cw_rwsem_destroy(&dev->region_lock[i]);
	cw_free(dev->spare);
	cw_mutex_destroy(&dev->spare_lock);
	cw_rwsem_destroy(&dev->merge_lock);
	cw_rwsem_destroy(&dev->top_lock);
	cw_mutex_destroy(&dev->snapshot_lock);
	cw_free(dev);
}

int cw_device_open(const struct cw_device_config *config,
		   struct cw_device **out, struct cw_report *report)
{
	struct cw_device *dev;
	u32 i;
	int err = -ENOMEM;

	*out = NULL;
	if (config->nr_layers > CW_MAX_LAYERS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TOO_MANY_LAYERS,
				 "%u COW layers are more than %u",
				 config->nr_layers, CW_MAX_LAYERS);
	dev = cw_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	cw_mutex_init(&dev->snapshot_lock);
	cw_rwsem_init(&dev->top_lock);
	cw_rwsem_init(&dev->merge_lock);
	cw_mutex_init(&dev->spare_lock);
	for (i = 0; i < REGION_LOCKS; i++)
		cw_rwsem_init(&dev->region_lock[i]);
	dev->cache = cw_cache_create(config->cache_bytes ?
				     config->cache_bytes :
				     CW_DEFAULT_CACHE_BYTES);
	if (!dev->cache)
		goto free;
	if (config->cache_budget)
		cw_cache_join(dev->cache, config->cache_budget);
	err = cw_image_open(config->base, dev->cache, config->format,
			    &dev->image, report);
	if (err)
		goto free;
	if (config->record && dev->image->format->locate)
		err = cw_image_record(dev->image);
	if (!err)
		err = open_layers(dev, config, report);
	if (!err)
		set_size(dev);
	if (!err && dev->writable)
		err = make_spare(dev);
	if (err)
		goto free;
	*out = dev;
	return 0;

free:
	free_device(dev);
	return err;
}

int cw_device_close(struct cw_device *dev)
{
	int err;

	if (!dev)
		return 0;
	err = cw_device_flush(dev);
	free_device(dev);
	return err;
}

/* ---- another size ---- */

static int take_size_of_image(struct cw_device *dev, struct cw_report *report)
{
	const struct cw_layers *layers = layers_of(dev);
	int err;

	if (layers->nr)
		return cw_refuse(report, -EOPNOTSUPP, CLOOPW_R_FIXED_COW,
				 "%s: was made for a device of %llu bytes, and takes no other size from the image",
				 layers->layer[0]->io->name, dev->size);
	err = cw_image_resize(dev->image, report);
	if (!err)
		set_size(dev);
	return err;
}

static int check_growth(const struct cw_device *dev, const struct cw_cow *top,
			u64 size, struct cw_report *report)
{
	if (!top || !dev->writable)
		return cw_refuse(report, -EROFS, CLOOPW_R_READ_ONLY,
				 "the device is read-only, so nothing can keep another size");
	if (!top->format->grow)
		return cw_refuse(report, -EOPNOTSUPP, CLOOPW_R_NOT_GROWABLE,
				 "%s: a COW file of format %s cannot grow",
				 top->io->name, top->format->name);
	return cw_cow_check_size(top->format, top->io->name, top->size, size,
				 report);
}

/* With snapshot_lock held, so the top stays the top. */
static int grow_top(struct cw_device *dev, u64 size, struct cw_report *report)
{
	struct cw_cow *top = top_of(dev);
	int err = check_growth(dev, top, size, report);

	if (err || size == top->size)
		return err;
	err = top->format->grow(top, size);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_GROW_FAILED,
				 "%s: cannot grow (%s)", top->io->name,
				 cw_error_text(err));
	set_size(dev);
	return 0;
}

int cw_device_resize(struct cw_device *dev, u64 size, struct cw_report *report)
{
	int err;

	if (!size)
		return take_size_of_image(dev, report);
	cw_mutex_lock(&dev->snapshot_lock);
	err = grow_top(dev, size, report);
	cw_mutex_unlock(&dev->snapshot_lock);
	return err;
}

/* ---- reading ---- */

/*
 * Reads the start of a range from the topmost layer that holds it, or from the
 * base. *n is the number of bytes that come from the same place.
 */
static int read_start(struct cw_device *dev, u64 off, u32 len, u8 *buf, u32 *n)
{
	const struct cw_layers *layers = layers_of(dev);
	u64 most = len;
	u32 i;

	*n = len;
	for (i = 0; i < layers->nr; i++) {
		struct cw_cow *cow = layers->layer[i];
		int hit;

		if (!cw_layers_reach(layers, i, off, &most))
			continue;
		*n = cw_min(*n, most);
		hit = cow->format->read(cow, off, *n, buf, n);
		if (hit < 0)
			return hit;
		if (hit == CW_COW_HIT)
			return 0;
	}
	return cw_image_read(dev->image, off, *n, buf);
}

static int read_range(struct cw_device *dev, u64 off, u32 len, u8 *buf)
{
	while (len) {
		u32 n;
		int err = read_start(dev, off, len, buf, &n);

		if (err)
			return err;
		off += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int cw_device_read(struct cw_device *dev, u64 off, u32 len, void *buf)
{
	int err;

	if (cw_outside(off, len, size_of(dev)))
		return -EINVAL;
	err = read_range(dev, off, len, buf);
	if (err)
		cw_atomic64_inc(&dev->read_errors);
	return err;
}

int cw_device_block_status(struct cw_device *dev, u64 off, u64 len, u64 *n)
{
	const struct cw_layers *layers = layers_of(dev);
	u32 i;

	if (!len || cw_outside(off, len, size_of(dev)))
		return -EINVAL;
	*n = len;
	for (i = 0; i < layers->nr; i++) {
		struct cw_cow *cow = layers->layer[i];
		int hit = CW_COW_MISS;

		if (cw_layers_reach(layers, i, off, n))
			hit = cow->format->block_status(cow, off, *n, n);
		if (hit != CW_COW_MISS)
			return hit;
	}
	return CW_COW_MISS;
}

void cw_device_will_read(struct cw_device *dev, u64 off, u64 len)
{
	while (len) {
		u64 n;
		int place = cw_device_block_status(dev, off, len, &n);

		if (place < 0)
			return;
		if (place == CW_COW_MISS)
			cw_image_will_read(dev->image, off, n);
		off += n;
		len -= n;
	}
}

/*
 * Finds the layer that holds the range uncompressed; NULL: no layer holds any
 * of it. A write that comes in between overlaps this read in time.
 */
static int locate_in_layers(struct cw_device *dev, u64 off, u32 len, u64 *pos,
			    struct cw_cow **layer)
{
	const struct cw_layers *layers = layers_of(dev);
	u32 i;

	for (i = 0; i < layers->nr; i++) {
		struct cw_cow *cow = layers->layer[i];
		int hit = -EAGAIN;
		u64 n = len;

		if (!cw_layers_reach(layers, i, off, &n))
			continue;
		if (n == len && cow->format->locate)
			hit = cow->format->locate(cow, off, len, pos);
		if (hit == CW_COW_MISS)
			continue;
		*layer = cow;
		return hit < 0 ? hit : 0;
	}
	*layer = NULL;
	return 0;
}

struct cw_io *cw_device_locate(struct cw_device *dev, u64 off, u32 len,
			       u64 *pos)
{
	struct cw_image *img = dev->image;
	struct cw_cow *layer;

	if (cw_outside(off, len, img->size) ||
	    locate_in_layers(dev, off, len, pos, &layer))
		return NULL;
	if (layer)
		return layer->io;
	if (img->format->locate)
		return NULL;
	*pos = off;
	return img->io;
}

int cw_device_read_cached(struct cw_device *dev, u64 off, u32 len, void *buf)
{
	struct cw_cow *layer;
	u64 pos;
	int err = locate_in_layers(dev, off, len, &pos, &layer);

	if (err || layer)
		return -EAGAIN;
	return cw_image_read_cached(dev->image, off, len, buf);
}

int cw_device_is_zero(struct cw_device *dev, u64 off, u64 len, u64 *n)
{
	int place = cw_device_block_status(dev, off, len, n);

	if (place == CW_COW_MISS)
		return cw_image_is_zero(dev->image, off, *n, n);
	return place == CW_COW_HIT ? 0 : place == CW_COW_ZERO ? 1 : place;
}

/* Without memory, all threads take the device's spare granule in turn. */
static u8 *get_granule(struct cw_device *dev, u32 len)
{
	u8 *granule = cw_try_alloc(len);

	if (granule)
		return granule;
	cw_mutex_lock(&dev->spare_lock);
	memset(dev->spare, 0, len);
	return dev->spare;
}

static void put_granule(struct cw_device *dev, u8 *granule)
{
	if (granule == dev->spare)
		cw_mutex_unlock(&dev->spare_lock);
	else
		cw_free(granule);
}

/*
 * Writes a part of one granule; src NULL: zeros. The region's lock is held
 * exclusively.
 */
static int merge_granule(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	struct cw_cow *cow = top_of(dev);
	u32 skip = off % cow->granularity;
	u32 inside = cw_min(cow->granularity, size_of(dev) - (off - skip));
	u8 *granule = get_granule(dev, cow->granularity);
	int err;

	err = read_range(dev, off - skip, inside, granule);
	if (!err) {
		if (src)
			memcpy(granule + skip, src, len);
		else
			memset(granule + skip, 0, len);
		err = cow->format->write(cow, off - skip, cow->granularity,
					 granule);
	}
	put_granule(dev, granule);
	return err;
}

/* Writes whole granules; src NULL: zeros. */
static int write_granules(struct cw_cow *cow, u64 off, u64 len, const u8 *src)
{
	static const u8 zeros[CW_PAGE_SIZE];

	if (!len)
		return 0;
	if (src)
		return cow->format->write(cow, off, len, src);
	if (cow->format->zero)
		return cow->format->zero(cow, off, len);
	while (len) {
		u32 part = cw_min(len, sizeof(zeros));
		int err = cow->format->write(cow, off, part, zeros);

		if (err)
			return err;
		off += part;
		len -= part;
	}
	return 0;
}

/* Writes a range that may begin and end within a granule. */
static int merge_range(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	struct cw_cow *top = top_of(dev);
	u32 granularity = top->granularity;

	while (len) {
		u32 part = cw_min(len, granularity - off % granularity);
		int err;

		if (part == granularity) {
			part = len & ~(granularity - 1);
			err = write_granules(top, off, part, src);
		} else {
			err = merge_granule(dev, off, part, src);
		}
		if (err)
			return err;
		off += part;
		len -= part;
		src = src ? src + part : NULL;
	}
	return 0;
}

static bool is_whole(const struct cw_device *dev, u64 off, u64 len)
{
	return !((off | len) & (top_of(dev)->granularity - 1));
}

static struct cw_rwsem *lock_of(struct cw_device *dev, u64 off)
{
	return &dev->region_lock[(off >> REGION_SHIFT) % REGION_LOCKS];
}

/* Writes a range within one region; src NULL: zeros. */
static int write_region(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	struct cw_rwsem *lock = lock_of(dev, off);
	int err;

	if (is_whole(dev, off, len)) {
		cw_rwsem_read_lock(lock);
		err = write_granules(top_of(dev), off, len, src);
		cw_rwsem_read_unlock(lock);
	} else {
		cw_rwsem_read_lock(&dev->merge_lock);
		cw_rwsem_write_lock(lock);
		err = merge_range(dev, off, len, src);
		cw_rwsem_write_unlock(lock);
		cw_rwsem_read_unlock(&dev->merge_lock);
	}
	return err;
}

static u64 rest_of_region(u64 off)
{
	return REGION_SIZE - off % REGION_SIZE;
}

int cw_device_write(struct cw_device *dev, u64 off, u32 len, const void *buf)
{
	const u8 *src = buf;
	int err = 0;

	if (!dev->writable)
		return -EROFS;
	if (cw_outside(off, len, size_of(dev)))
		return -EINVAL;
	cw_rwsem_read_lock(&dev->top_lock);
	while (len && !err) {
		u32 part = cw_min(len, rest_of_region(off));

		err = write_region(dev, off, part, src);
		off += part;
		src += part;
		len -= part;
	}
	cw_rwsem_read_unlock(&dev->top_lock);
	if (err)
		cw_atomic64_inc(&dev->write_errors);
	return err;
}

/*
 * Placed writes need no region's lock: where sectors are written uncompressed,
 * nobody merges granules. They do not need top_lock: a layer that can be frozen
 * has no such places. So the top is still the same when the data is there.
 */
static bool can_place(const struct cw_cow *top)
{
	return top->format->place && !top->format->freeze &&
	       top->granularity == CW_SECTOR_SIZE;
}

struct cw_io *cw_device_place(struct cw_device *dev, u64 off, u32 len,
			      u64 *pos)
{
	struct cw_cow *top = top_of(dev);

	if (!dev->writable || !can_place(top) || !is_whole(dev, off, len) ||
	    !len || cw_outside(off, len, size_of(dev)) ||
	    top->format->place(top, off, len, pos))
		return NULL;
	return top->io;
}

void cw_device_placed(struct cw_device *dev, u64 off, u32 len)
{
	struct cw_cow *top = top_of(dev);

	top->format->placed(top, off, len);
}

bool cw_device_writes_plain(struct cw_device *dev, u64 off, u32 len)
{
	return dev->writable && top_of(dev)->plain && is_whole(dev, off, len);
}

/* Zeroes or discards whole granules in many regions with one call. */
static int change_many(struct cw_device *dev, u64 off, u64 len,
		       int (*change)(struct cw_cow *, u64, u64))
{
	int err;

	cw_rwsem_write_lock(&dev->merge_lock);
	err = change(top_of(dev), off, len);
	cw_rwsem_write_unlock(&dev->merge_lock);
	return err;
}

/* With top_lock held. */
static int zero_range(struct cw_device *dev, u64 off, u64 len)
{
	const struct cw_cow_format *format = top_of(dev)->format;
	int err = 0;

	while (len && !err) {
		u64 part = cw_min(len, rest_of_region(off));

		if (part == REGION_SIZE && format->zero) {
			part = len & ~(u64)(REGION_SIZE - 1);
			err = change_many(dev, off, part, format->zero);
		} else {
			err = write_region(dev, off, part, NULL);
		}
		off += part;
		len -= part;
	}
	if (err)
		cw_atomic64_inc(&dev->write_errors);
	return err;
}

/* With top_lock held. */
static int discard_range(struct cw_device *dev, u64 off, u64 len)
{
	const struct cw_cow *top = top_of(dev);
	u64 first, end;

	if (!top->format->discard)
		return -EOPNOTSUPP;
	/* Parts of granules keep their data: a discard is a hint. */
	first = cw_round_up(off, top->granularity);
	end = (off + len) & ~((u64)top->granularity - 1);
	if (first >= end)
		return 0;
	return change_many(dev, first, end - first, top->format->discard);
}

static int change_range(struct cw_device *dev, u64 off, u64 len,
			int (*change)(struct cw_device *dev, u64 off, u64 len))
{
	int err;

	if (!dev->writable)
		return -EROFS;
	if (cw_outside(off, len, size_of(dev)))
		return -EINVAL;
	cw_rwsem_read_lock(&dev->top_lock);
	err = change(dev, off, len);
	cw_rwsem_read_unlock(&dev->top_lock);
	return err;
}

int cw_device_zero(struct cw_device *dev, u64 off, u64 len)
{
	return change_range(dev, off, len, zero_range);
}

int cw_device_discard(struct cw_device *dev, u64 off, u64 len)
{
	return change_range(dev, off, len, discard_range);
}

int cw_device_flush(struct cw_device *dev)
{
	struct cw_cow *top;
	int err;

	if (!dev->writable)
		return 0;
	cw_rwsem_read_lock(&dev->top_lock);
	top = top_of(dev);
	err = top->format->flush(top);
	cw_rwsem_read_unlock(&dev->top_lock);
	return err;
}

/* The flush reports the error of a checkpoint that matters. */
int cw_device_checkpoint(struct cw_device *dev)
{
	struct cw_cow *top;

	if (!dev->writable)
		return 0;
	cw_rwsem_read_lock(&dev->top_lock);
	top = top_of(dev);
	if (top->format->settle)
		top->format->settle(top);
	cw_rwsem_read_unlock(&dev->top_lock);
	return cw_device_flush(dev);
}

/*
 * 1. The new layer is opened. It is durable by then, and empty; it names the
 *    layer below by a UUID that no layer has yet.
 * 2. Writers wait. The top layer is made durable and, with the same
 *    superblock, frozen under that UUID.
 * 3. The new layer is the top, and writers go on.
 *
 * A crash before the end of 2 leaves the old top, which alone can be attached:
 * the new layer has nothing to lie on. A crash afterwards leaves the new layer
 * over the old top, which cannot be written any more.
 */
int cw_device_snapshot(struct cw_device *dev, struct cw_io *io,
		       struct cw_report *report)
{
	u8 below[CW_UUID_LEN];
	struct cw_layers *added;
	struct cw_cow *top;
	int err;

	cw_mutex_lock(&dev->snapshot_lock);
	top = top_of(dev);
	err = cw_layers_add(layers_of(dev), io, dev->cache, &added, below,
			    report);
	if (err)
		goto unlock;
	top->format->settle(top);
	cw_rwsem_write_lock(&dev->top_lock);
	err = top->format->freeze(top, below);
	if (!err) {
		cw_store_release(&dev->layers, added);
		set_size(dev); /* the new layer may be longer */
	}
	cw_rwsem_write_unlock(&dev->top_lock);
	if (err) {
		cw_layers_take_back(added);
		cw_refuse(report, err, CLOOPW_R_FREEZE_FAILED,
			  "%s: cannot be frozen (%s)", top->io->name,
			  cw_error_text(err));
	}
unlock:
	cw_mutex_unlock(&dev->snapshot_lock);
	return err;
}

static int check_reset(const struct cw_device *dev, const struct cw_cow *top,
		       struct cw_report *report)
{
	if (!top || !dev->writable)
		return cw_refuse(report, -EROFS, CLOOPW_R_READ_ONLY,
				 "the device is read-only, so it has no changes to throw away");
	if (!top->format->reset)
		return cw_refuse(report, -EOPNOTSUPP, CLOOPW_R_NOT_RESETTABLE,
				 "%s: a COW file of format %s cannot be reset",
				 top->io->name, top->format->name);
	return 0;
}

/* Writers wait for the superblocks, and not until the file has given its space back. */
int cw_device_reset(struct cw_device *dev, struct cw_report *report)
{
	struct cw_cow *top;
	int err;

	cw_mutex_lock(&dev->snapshot_lock);
	top = top_of(dev);
	err = check_reset(dev, top, report);
	if (err)
		goto unlock;
	cw_rwsem_write_lock(&dev->top_lock);
	err = top->format->reset(top);
	cw_rwsem_write_unlock(&dev->top_lock);
	if (!err && top->format->give_back)
		top->format->give_back(top);
	if (err)
		cw_refuse(report, err, CLOOPW_R_RESET_FAILED,
			  "%s: cannot be reset (%s)", top->io->name,
			  cw_error_text(err));
unlock:
	cw_mutex_unlock(&dev->snapshot_lock);
	return err;
}

void cw_device_get_info(struct cw_device *dev, struct cw_device_info *info)
{
	const struct cw_cow *top = dev->writable ? top_of(dev) : NULL;

	*info = (struct cw_device_info){
		.size = size_of(dev),
		.writable = dev->writable,
		.can_discard = top && top->format->discard,
		.can_zero = top && top->format->zero,
		.cluster = dev->image->block_size,
		.granularity = top ? top->granularity : CW_SECTOR_SIZE,
		.extent = top ? top->format->extent : 0,
		.image = dev->image,
		.nr_layers = layers_of(dev)->nr,
	};
}

void cw_device_get_stats(struct cw_device *dev, struct cw_device_stats *stats)
{
	struct cw_cow *top = top_of(dev);

	memset(stats, 0, sizeof(*stats));
	stats->read_errors = cw_atomic64_read(&dev->read_errors);
	stats->write_errors = cw_atomic64_read(&dev->write_errors);
	cw_cache_get_stats(dev->cache, &stats->cache);
	if (top)
		top->format->stat(top, &stats->cow);
}

const struct cw_layers *cw_device_layers(struct cw_device *dev)
{
	return layers_of(dev);
}

void cw_device_get_space(struct cw_device *dev, struct cw_cow_space *space)
{
	struct cw_cow *top = top_of(dev);

	*space = (struct cw_cow_space){ .state = CW_COW_READ_ONLY };
	if (top)
		top->format->space(top, space);
}

u64 cw_device_capacity(struct cw_device *dev)
{
	struct cw_cow *top = top_of(dev);

	return top ? cw_capacity(top->io) : CW_CAPACITY_UNKNOWN;
}

int cw_device_set_limit(struct cw_device *dev, u64 bytes)
{
	int err = -EOPNOTSUPP;
	struct cw_cow *top;

	if (!dev->writable)
		return -EROFS;
	cw_rwsem_read_lock(&dev->top_lock);
	top = top_of(dev);
	if (top->format->set_limit)
		err = top->format->set_limit(top, bytes);
	cw_rwsem_read_unlock(&dev->top_lock);
	return err;
}

void cw_device_tend(struct cw_device *dev)
{
	struct cw_cow *top;

	if (!dev->writable)
		return;
	cw_rwsem_read_lock(&dev->top_lock);
	top = top_of(dev);
	if (top->format->tend)
		top->format->tend(top);
	cw_rwsem_read_unlock(&dev->top_lock);
}

struct cw_cache *cw_device_cache(struct cw_device *dev)
{
	return dev->cache;
}

const char *cw_device_layer_name(struct cw_device *dev, u32 i)
{
	return layers_of(dev)->layer[i]->io->name;
}

const char *cw_device_layer_format(struct cw_device *dev, u32 i)
{
	return layers_of(dev)->layer[i]->format->name;
}
