/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device: a stack of COW layers over a base image, read and written as one.
 * This is the engine's interface to the Linux side and to the library.
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
	bool read_only;     /* the top layer is not written either */
	u64 cache_bytes;    /* 0: CW_DEFAULT_CACHE_BYTES */
	struct cw_cache_budget *cache_budget; /* of several devices; NULL: none */
};

struct cw_device_info {
	u64 size;           /* bytes, whole sectors */
	bool writable;
	bool can_discard;
	bool can_zero;      /* write-zeroes without writing zeros */
	u32 cluster;        /* bytes that are read at once best; 0: any */
	u32 granularity;    /* writes of less than this cost a read */
	u32 extent;         /* bytes that a write compresses at once; 0: none */
	const struct cw_image *image;
	u32 nr_layers;
};

struct cw_device_stats {
	u64 read_errors;
	u64 write_errors;
	struct cw_cache_stats cache;
	struct cw_cow_stat cow; /* of the top layer; zeros when there is none */
};

/* The ios of config are borrowed until close. *out is NULL on error. */
int cw_device_open(const struct cw_device_config *config,
		   struct cw_device **out, struct cw_report *report);

/* Nothing may be in flight. Flushes; returns what the flush did. */
int cw_device_close(struct cw_device *dev); /* NULL is fine */

void cw_device_get_info(struct cw_device *dev, struct cw_device_info *info);
void cw_device_get_stats(struct cw_device *dev, struct cw_device_stats *stats);

/*
 * Takes over the size of a raw base that has changed. Nothing may be in flight.
 * A COW layer was made for a size: -EOPNOTSUPP when there is one. On error
 * nothing has changed.
 */
int cw_device_resize(struct cw_device *dev, struct cw_report *report);

/* Those of this moment: constant, and there until close. */
const struct cw_layers *cw_device_layers(struct cw_device *dev);

/* Of the top layer; read-only when there is none. Without I/O. */
void cw_device_get_space(struct cw_device *dev, struct cw_cow_space *space);
/* Of the medium of the top layer, or CW_CAPACITY_UNKNOWN. */
u64 cw_device_capacity(struct cw_device *dev);
/* -EROFS, or -EOPNOTSUPP and others as of struct cw_cow_format. */
int cw_device_set_limit(struct cw_device *dev, u64 bytes);
/* To be called now and then, see struct cw_cow_format. */
void cw_device_tend(struct cw_device *dev);

/* For a shrinker and for tests. */
struct cw_cache *cw_device_cache(struct cw_device *dev);
/* Name of layer i (0: the top), of its format, and its figures. */
const char *cw_device_layer_name(struct cw_device *dev, u32 i);
const char *cw_device_layer_format(struct cw_device *dev, u32 i);

/*
 * Freezes the top layer and puts the one in io over it, which must be empty
 * and made for that: it names what is below by a UUID of its own choice, which
 * the top layer gets. io is borrowed until close. What was written before is
 * below, what is written from now on in the new layer; other calls may be
 * under way and wait for a moment at most. On error nothing has changed.
 */
int cw_device_snapshot(struct cw_device *dev, struct cw_io *io,
		       struct cw_report *report);

/*
 * All may be called from many threads at once, return 0 or -errno, and take
 * any range within the device; -EINVAL outside. Writes to a device that is
 * not writable get -EROFS. Two calls that overlap in time and range leave
 * each sector with the data of one of them.
 *
 * After flush returned 0, all that returned before flush was called is
 * durable.
 */
int cw_device_read(struct cw_device *dev, u64 off, u32 len, void *buf);
/*
 * All of a range is read soon. A hint, for a base with blocks: what lies side by
 * side there is fetched at once, where layers do not hold it.
 */
void cw_device_will_read(struct cw_device *dev, u64 off, u64 len);
/*
 * Where the start of a range is: CW_COW_MISS: in the base, CW_COW_HIT: in a
 * layer, CW_COW_ZERO: nowhere, a layer says that it is zeros; for *n bytes,
 * 0 < *n <= len.
 */
int cw_device_where(struct cw_device *dev, u64 off, u64 len, u64 *n);
/*
 * Is the start of a range known to be zeros, without reading it? 1, 0 or
 * -errno, and for *n bytes: 0 < *n <= len.
 */
int cw_device_is_zero(struct cw_device *dev, u64 off, u64 len, u64 *n);
int cw_device_write(struct cw_device *dev, u64 off, u32 len, const void *buf);
int cw_device_zero(struct cw_device *dev, u64 off, u64 len);
int cw_device_discard(struct cw_device *dev, u64 off, u64 len);
int cw_device_flush(struct cw_device *dev);
/* A flush that also leaves nothing to be recovered by the next attach. */
int cw_device_checkpoint(struct cw_device *dev);

/*
 * Short ways, for callers that try them before cw_device_read(). Neither
 * sleeps, and both may not know for reasons that pass.
 *
 * The first tells where all of the range lies as it is, uncompressed: the
 * io, and *pos in it; NULL: nowhere. The second reads what is in the cache, or
 * returns -EAGAIN with anything in buf.
 */
struct cw_io *cw_device_locate(struct cw_device *dev, u64 off, u32 len,
			       u64 *pos);
int cw_device_read_cached(struct cw_device *dev, u64 off, u32 len, void *buf);

/*
 * And one for writes, which may sleep: where all of the range goes as it is.
 * NULL: nowhere, use cw_device_write(). Otherwise the caller writes it there
 * and says with the other that it did; when it could not, it says nothing.
 */
struct cw_io *cw_device_place(struct cw_device *dev, u64 off, u32 len,
			      u64 *pos);
void cw_device_placed(struct cw_device *dev, u64 off, u32 len);

/*
 * Would a write of that range take little but copying? Not so when it is
 * compressed, or put together with what is there.
 */
bool cw_device_writes_plain(struct cw_device *dev, u64 off, u32 len);

#endif
