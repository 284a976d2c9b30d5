// SPDX-License-Identifier: GPL-2.0
#include "device.h"

/*
 * Writes go to the top layer in regions of this size, each under a lock that
 * regions share by number. Whole granules are written with the lock shared; a
 * part of one reads the rest, puts the two together and writes them with the
 * lock held alone, so that no other write to the granule falls in between.
 *
 * A call that changes many regions at once does not take all their locks. It
 * excludes those who put granules together anywhere, through merge_lock, which
 * they hold shared.
 */
#define REGION_SHIFT 16
#define REGION_SIZE (1u << REGION_SHIFT)
#define REGION_LOCKS 64u

struct cw_device {
	u64 size; /* all of these are constant after open */
	bool writable;
	struct cw_cache *cache;
	struct cw_image *image;
	u32 nr_layers;
	struct cw_cow *layer[CW_MAX_LAYERS]; /* the top first */
	struct cw_rwsem merge_lock;          /* before a region_lock */
	struct cw_rwsem region_lock[REGION_LOCKS];
	struct cw_atomic64 read_errors;
	struct cw_atomic64 write_errors;
};

static int open_layers(struct cw_device *dev,
		       const struct cw_device_config *config,
		       struct cw_report *report)
{
	struct cw_cow_base base = {
		.size = dev->size,
		.mtime = config->base->mtime,
		.name = config->base->name,
	};
	u32 i;
	int err;

	memcpy(base.uuid, dev->image->uuid, CW_UUID_LEN);
	for (i = 0; i < config->nr_layers; i++) {
		bool writable = i == 0 && !config->read_only;

		err = cw_cow_open(config->layers[i], dev->cache, writable,
				  &base, &dev->layer[i], report);
		if (err)
			return err;
		dev->nr_layers++;
	}
	dev->writable = dev->nr_layers && !config->read_only;
	return 0;
}

static void free_device(struct cw_device *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_layers; i++)
		cw_cow_close(dev->layer[i]);
	cw_image_close(dev->image);
	cw_cache_destroy(dev->cache);
	for (i = 0; i < REGION_LOCKS; i++)
		cw_rwsem_destroy(&dev->region_lock[i]);
	cw_rwsem_destroy(&dev->merge_lock);
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
		return cw_refuse(report, -EINVAL,
				 "%u COW layers are more than %u",
				 config->nr_layers, CW_MAX_LAYERS);
	dev = cw_alloc(sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	cw_rwsem_init(&dev->merge_lock);
	for (i = 0; i < REGION_LOCKS; i++)
		cw_rwsem_init(&dev->region_lock[i]);
	dev->cache = cw_cache_create(config->cache_bytes ?
				     config->cache_bytes :
				     CW_DEFAULT_CACHE_BYTES);
	if (!dev->cache)
		goto free;
	err = cw_image_open(config->base, dev->cache, config->format,
			    &dev->image, report);
	if (err)
		goto free;
	if (dev->image->size > 1ull << 62) {
		err = cw_refuse(report, -EINVAL,
				"%s: %llu bytes are too many for a device",
				config->base->name, dev->image->size);
		goto free;
	}
	dev->size = cw_round_up(dev->image->size, CW_SECTOR_SIZE);
	err = open_layers(dev, config, report);
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

/*
 * Reads the start of a range from the topmost layer that holds it, or from
 * the base; *n bytes of it, as many as come from the same place.
 */
static int read_start(struct cw_device *dev, u64 off, u32 len, u8 *buf, u32 *n)
{
	u32 i;

	*n = len;
	for (i = 0; i < dev->nr_layers; i++) {
		struct cw_cow *cow = dev->layer[i];
		int hit = cow->format->read(cow, off, *n, buf, n);

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

	if (cw_outside(off, len, dev->size))
		return -EINVAL;
	err = read_range(dev, off, len, buf);
	if (err)
		cw_atomic64_inc(&dev->read_errors);
	return err;
}

int cw_device_where(struct cw_device *dev, u64 off, u64 len, u64 *n)
{
	u32 i;

	if (!len || cw_outside(off, len, dev->size))
		return -EINVAL;
	*n = len;
	for (i = 0; i < dev->nr_layers; i++) {
		struct cw_cow *cow = dev->layer[i];
		int hit = cow->format->where(cow, off, *n, n);

		if (hit != CW_COW_MISS)
			return hit;
	}
	return CW_COW_MISS;
}

/*
 * The layer that holds the range as it is, NULL when none holds any of it.
 * A write that comes in between is one that this read overlaps in time.
 */
static int locate_in_layers(struct cw_device *dev, u64 off, u32 len, u64 *pos,
			    struct cw_cow **layer)
{
	u32 i;

	for (i = 0; i < dev->nr_layers; i++) {
		struct cw_cow *cow = dev->layer[i];
		int hit = -EAGAIN;

		if (cow->format->locate)
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
	int place = cw_device_where(dev, off, len, n);

	if (place == CW_COW_MISS)
		return cw_image_is_zero(dev->image, off, *n, n);
	return place == CW_COW_HIT ? 0 : place == CW_COW_ZERO ? 1 : place;
}

/* A part of one granule; src NULL: zeros. The region's lock is held alone. */
static int merge_granule(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	struct cw_cow *cow = dev->layer[0];
	u32 skip = off % cow->granularity;
	u32 inside = cw_min(cow->granularity, dev->size - (off - skip));
	u8 *granule = cw_alloc(cow->granularity);
	int err;

	if (!granule)
		return -ENOMEM;
	err = read_range(dev, off - skip, inside, granule);
	if (!err) {
		if (src)
			memcpy(granule + skip, src, len);
		else
			memset(granule + skip, 0, len);
		err = cow->format->write(cow, off - skip, cow->granularity,
					 granule);
	}
	cw_free(granule);
	return err;
}

/* Whole granules; src NULL: zeros. */
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

/* A range that may begin and end within a granule. */
static int merge_range(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	u32 granularity = dev->layer[0]->granularity;

	while (len) {
		u32 part = cw_min(len, granularity - off % granularity);
		int err;

		if (part == granularity) {
			part = len & ~(granularity - 1);
			err = write_granules(dev->layer[0], off, part, src);
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
	return !((off | len) & (dev->layer[0]->granularity - 1));
}

static struct cw_rwsem *lock_of(struct cw_device *dev, u64 off)
{
	return &dev->region_lock[(off >> REGION_SHIFT) % REGION_LOCKS];
}

/* A range within one region; src NULL: zeros. */
static int write_region(struct cw_device *dev, u64 off, u32 len, const u8 *src)
{
	struct cw_rwsem *lock = lock_of(dev, off);
	int err;

	if (is_whole(dev, off, len)) {
		cw_rwsem_read_lock(lock);
		err = write_granules(dev->layer[0], off, len, src);
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
	if (cw_outside(off, len, dev->size))
		return -EINVAL;
	while (len && !err) {
		u32 part = cw_min(len, rest_of_region(off));

		err = write_region(dev, off, part, src);
		off += part;
		src += part;
		len -= part;
	}
	if (err)
		cw_atomic64_inc(&dev->write_errors);
	return err;
}

/*
 * It needs no region's lock: where sectors are written as they are nobody puts
 * granules together.
 */
static bool can_place(const struct cw_cow *top)
{
	return top->format->place && top->granularity == CW_SECTOR_SIZE;
}

struct cw_io *cw_device_place(struct cw_device *dev, u64 off, u32 len,
			      u64 *pos)
{
	struct cw_cow *top = dev->layer[0];

	if (!dev->writable || !can_place(top) || !is_whole(dev, off, len) ||
	    !len || cw_outside(off, len, dev->size) ||
	    top->format->place(top, off, len, pos))
		return NULL;
	return top->io;
}

void cw_device_placed(struct cw_device *dev, u64 off, u32 len)
{
	dev->layer[0]->format->placed(dev->layer[0], off, len);
}

/* Zeroes or discards whole granules in many regions with one call. */
static int change_many(struct cw_device *dev, u64 off, u64 len,
		       int (*change)(struct cw_cow *, u64, u64))
{
	int err;

	cw_rwsem_write_lock(&dev->merge_lock);
	err = change(dev->layer[0], off, len);
	cw_rwsem_write_unlock(&dev->merge_lock);
	return err;
}

int cw_device_zero(struct cw_device *dev, u64 off, u64 len)
{
	const struct cw_cow_format *format;
	int err = 0;

	if (!dev->writable)
		return -EROFS;
	if (cw_outside(off, len, dev->size))
		return -EINVAL;
	format = dev->layer[0]->format;
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

int cw_device_discard(struct cw_device *dev, u64 off, u64 len)
{
	u64 first, end, granularity;

	if (!dev->writable)
		return -EROFS;
	if (cw_outside(off, len, dev->size))
		return -EINVAL;
	if (!dev->layer[0]->format->discard)
		return -EOPNOTSUPP;
	/* Parts of granules keep their data: a discard is a hint. */
	granularity = dev->layer[0]->granularity;
	first = cw_round_up(off, granularity);
	end = (off + len) & ~(granularity - 1);
	if (first >= end)
		return 0;
	return change_many(dev, first, end - first,
			   dev->layer[0]->format->discard);
}

int cw_device_flush(struct cw_device *dev)
{
	if (!dev->writable)
		return 0;
	return dev->layer[0]->format->flush(dev->layer[0]);
}

void cw_device_get_info(struct cw_device *dev, struct cw_device_info *info)
{
	const struct cw_cow *top = dev->writable ? dev->layer[0] : NULL;

	*info = (struct cw_device_info){
		.size = dev->size,
		.writable = dev->writable,
		.can_discard = top && top->format->discard,
		.can_zero = top && top->format->zero,
		.cluster = dev->image->block_size,
		.granularity = top ? top->granularity : CW_SECTOR_SIZE,
		.extent = top ? top->format->extent : 0,
		.can_place = top && can_place(top),
		.image = dev->image,
		.nr_layers = dev->nr_layers,
	};
}

void cw_device_get_stats(struct cw_device *dev, struct cw_device_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->read_errors = cw_atomic64_read(&dev->read_errors);
	stats->write_errors = cw_atomic64_read(&dev->write_errors);
	cw_cache_get_stats(dev->cache, &stats->cache);
	if (dev->nr_layers)
		dev->layer[0]->format->stat(dev->layer[0], &stats->cow);
}

void cw_device_get_space(struct cw_device *dev, struct cw_cow_space *space)
{
	*space = (struct cw_cow_space){ .state = CW_COW_READ_ONLY };
	if (dev->nr_layers)
		dev->layer[0]->format->space(dev->layer[0], space);
}

u64 cw_device_capacity(struct cw_device *dev)
{
	return dev->nr_layers ? cw_capacity(dev->layer[0]->io) :
				CW_CAPACITY_UNKNOWN;
}

int cw_device_set_limit(struct cw_device *dev, u64 bytes)
{
	if (!dev->writable)
		return -EROFS;
	if (!dev->layer[0]->format->set_limit)
		return -EOPNOTSUPP;
	return dev->layer[0]->format->set_limit(dev->layer[0], bytes);
}

void cw_device_tend(struct cw_device *dev)
{
	if (dev->writable && dev->layer[0]->format->tend)
		dev->layer[0]->format->tend(dev->layer[0]);
}

struct cw_cache *cw_device_cache(struct cw_device *dev)
{
	return dev->cache;
}

const char *cw_device_layer_name(struct cw_device *dev, u32 i)
{
	return dev->layer[i]->io->name;
}

const char *cw_device_layer_format(struct cw_device *dev, u32 i)
{
	return dev->layer[i]->format->name;
}
