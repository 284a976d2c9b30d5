/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device: a stack of COW layers over a base image, read and written as one.
 * This is the engine's interface to the driver and to the library.
 */
#ifndef CLOOPW_DEVICE_H
#define CLOOPW_DEVICE_H

#include "cache.h"
#include "cow.h"
#include "image.h"
#include "io.h"
#include "layers.h"
#include "report.h"

#define CW_DEFAULT_CACHE_BYTES (8u << 20)

struct cw_device;

struct cw_device_config {
	struct cw_io *base;
	const struct cw_image_format *format; /* NULL: probe */
	struct cw_io *const *layers;          /* the top first */
	u32 nr_layers;
	bool read_only;     /* the top layer is not written, either */
	bool record;        /* which blocks of the base are read first */
	u64 cache_bytes;    /* 0: CW_DEFAULT_CACHE_BYTES */
	/* shared with other devices; NULL: none */
	struct cw_cache_budget *cache_budget;
};

struct cw_device_info {
	u64 size;           /* bytes, whole sectors */
	bool writable;
	bool can_discard;
	bool can_zero;      /* zeroes without writing zeros */
	u32 cluster;        /* best length of a read, in bytes; 0: any */
	u32 granularity;    /* shorter writes cost a read */
	u32 extent;         /* bytes that a write compresses at once; 0: none */
	const struct cw_image *image;
	u32 nr_layers;
};

struct cw_device_stats {
	u64 read_errors;
	u64 write_errors;
	struct cw_cache_stats cache;
	struct cw_cow_stat cow; /* the top layer's; zeros when there is none */
};

/*
 * The ios of config are borrowed until close. On error *out is NULL, and the
 * report says why.
 */
int cw_device_open(const struct cw_device_config *config,
		   struct cw_device **out, struct cw_report *report);

/*
 * Flushes and frees the device. Returns the result of the flush. Nothing may be
 * in flight.
 */
int cw_device_close(struct cw_device *dev); /* NULL is fine */

/*
 * Constant facts, but for the size, nr_layers and, after a resize, the image's
 * sizes.
 */
void cw_device_get_info(struct cw_device *dev, struct cw_device_info *info);
/* Figures of this moment, without I/O but for the file's size. */
void cw_device_get_stats(struct cw_device *dev, struct cw_device_stats *stats);

/*
 * size 0: takes over the new size of a raw base. Nothing may be in flight.
 * -EOPNOTSUPP: there is a COW layer, which was made for one size, or the base is
 * not raw.
 *
 * Else the device grows to so many bytes, which the top layer remembers. Behind
 * the old end are zeros. Other calls may be under way, within the old size.
 * -EROFS, -EOPNOTSUPP: there is no writable layer that can. -EINVAL: it would
 * shrink, or size is not a multiple of the granularity. -EFBIG: no log covers
 * that. On error nothing has changed.
 */
int cw_device_resize(struct cw_device *dev, u64 size, struct cw_report *report);

/* The layers of this moment. They are constant, and exist until close. */
const struct cw_layers *cw_device_layers(struct cw_device *dev);

/*
 * The space of the top layer, without I/O. Without a layer the state is
 * read-only.
 */
void cw_device_get_space(struct cw_device *dev, struct cw_cow_space *space);
/* Capacity of the top layer's medium in bytes, or CW_CAPACITY_UNKNOWN. */
u64 cw_device_capacity(struct cw_device *dev);
/*
 * Sets the top layer's limit in bytes. -EROFS: the device is not writable.
 * -EOPNOTSUPP: the format has no limit. Others as set_limit in struct
 * cw_cow_format.
 */
int cw_device_set_limit(struct cw_device *dev, u64 bytes);
/* The driver calls this now and then: tend in struct cw_cow_format. */
void cw_device_tend(struct cw_device *dev);

/* For a shrinker and for tests. */
struct cw_cache *cw_device_cache(struct cw_device *dev);
/*
 * Names of layer i (0: the top) and of its format. i must be below nr_layers.
 */
const char *cw_device_layer_name(struct cw_device *dev, u32 i);
const char *cw_device_layer_format(struct cw_device *dev, u32 i);

/*
 * Freezes the top layer and puts the layer in io over it.
 *
 * The new layer must be empty and made for that. It names the layer below by a
 * UUID of its own choice, and the old top gets that UUID. io is borrowed until
 * close. Data written before is in the old top, data written from now on in the
 * new one. Other calls may be under way, and wait for a moment at most. On
 * error nothing has changed.
 */
int cw_device_snapshot(struct cw_device *dev, struct cw_io *io,
		       struct cw_report *report);

/*
 * Throws the content of the top layer away: the device shows what is below, and
 * zeros where it grew. That is durable on return. Other calls may be under way;
 * writers wait for a moment. A crash meanwhile leaves all of the content or none.
 * -EROFS, -EOPNOTSUPP: there is no writable layer that can. On error nothing has
 * changed, or the layer fails for good.
 */
int cw_device_reset(struct cw_device *dev, struct cw_report *report);

/*
 * All these functions take any range within the device, from many threads at
 * once. They return 0 or -errno: -EINVAL outside of the device, and -EROFS for
 * a write to a device that is not writable. When two calls overlap in time and
 * range, each sector has the data of one of them.
 *
 * When flush returns 0, all writes that had returned before it are durable.
 */
int cw_device_read(struct cw_device *dev, u64 off, u32 len, void *buf);
/*
 * A hint: all of the range is read soon. A base with blocks fetches stored
 * blocks that lie side by side at once, where no layer holds the range.
 */
void cw_device_will_read(struct cw_device *dev, u64 off, u64 len);
/*
 * Finds the place of the start of a range. CW_COW_MISS: the base. CW_COW_HIT: a
 * layer. CW_COW_ZERO: nowhere, because a layer says that it is zeros. The
 * answer counts for *n bytes, 0 < *n <= len.
 */
int cw_device_block_status(struct cw_device *dev, u64 off, u64 len, u64 *n);
/*
 * Is the start of a range known to be zeros, without a read? Returns 1, 0 or
 * -errno. The answer counts for *n bytes, 0 < *n <= len.
 */
int cw_device_is_zero(struct cw_device *dev, u64 off, u64 len, u64 *n);
/* Writes all of buf. The data is durable after the next flush. */
int cw_device_write(struct cw_device *dev, u64 off, u32 len, const void *buf);
/* The range reads as zeros afterwards. */
int cw_device_zero(struct cw_device *dev, u64 off, u64 len);
/* A hint: parts of granules keep their data. -EOPNOTSUPP: the layer cannot. */
int cw_device_discard(struct cw_device *dev, u64 off, u64 len);
int cw_device_flush(struct cw_device *dev);
/* A flush that also leaves the next attach nothing to recover. */
int cw_device_checkpoint(struct cw_device *dev);

/*
 * Short ways, for callers that try them before cw_device_read(). Neither
 * sleeps. Both may fail for reasons that pass.
 *
 * cw_device_locate() finds the file in which all of the range lies
 * uncompressed: its io, and *pos in it. NULL: there is none.
 * cw_device_read_cached() reads from the cache. It returns -EAGAIN with
 * anything in buf when the cache has not all of it.
 */
struct cw_io *cw_device_locate(struct cw_device *dev, u64 off, u32 len,
			       u64 *pos);
int cw_device_read_cached(struct cw_device *dev, u64 off, u32 len, void *buf);

/*
 * A short way for writes, which may sleep. cw_device_place() finds where all of
 * the range goes uncompressed. NULL: nowhere, use cw_device_write(). Otherwise
 * the caller writes the data there and then calls cw_device_placed(). If the
 * write failed, the caller does not call it.
 */
struct cw_io *cw_device_place(struct cw_device *dev, u64 off, u32 len,
			      u64 *pos);
void cw_device_placed(struct cw_device *dev, u64 off, u32 len);

/*
 * Would a write of the range be little more than a copy? False when the layer
 * compresses it, or merges it with the data that is there.
 */
bool cw_device_writes_plain(struct cw_device *dev, u64 off, u32 len);

#endif
