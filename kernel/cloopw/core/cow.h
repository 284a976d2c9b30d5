/* SPDX-License-Identifier: GPL-2.0 */
/*
 * COW layers. A COW format is one file and one row of cw_cow_formats[].
 *
 * A layer knows which parts of the device it holds, and their data. device.c
 * stacks layers over a base. A layer knows nothing of the layers and the base
 * below it.
 */
#ifndef CLOOPW_COW_H
#define CLOOPW_COW_H

#include "cache.h"
#include "image.h"
#include "io.h"
#include "report.h"

struct cw_cow;

#define CW_COW_PATH_LEN 4096

/* The file and device that a layer must have been made for. */
struct cw_cow_base {
	u64 size;             /* bytes of the device, whole sectors */
	s64 mtime;            /* mtime of the file below; 0: unknown */
	const char *name;     /* name of the file below */
	u8 uuid[CW_UUID_LEN]; /* UUID of the file below; zeros: none */
	u64 digest;           /* digest of its content; 0: none */
	bool is_layer;        /* the file below is a COW layer, too */
};

/* A layer's description of itself and of the file below. Large. */
struct cw_cow_identity {
	const struct cw_cow_format *format;
	u8 uuid[CW_UUID_LEN];       /* zeros: it has none */
	/* UUID of the file below; zeros: not told */
	u8 below_uuid[CW_UUID_LEN];
	u64 size;                   /* bytes of the device */
	u64 below_size;             /* bytes of the device below */
	bool over_layer;            /* the file below is a COW layer */
	bool frozen;                /* never written again */
	bool unused;                /* nothing was ever written to it */
	char below[CW_COW_PATH_LEN]; /* path of the file below, a hint */
};

struct cw_cow_stat {
	u64 live_bytes;  /* stored bytes that are in use */
	u64 dead_bytes;  /* the rest of the segments that are in use */
	u64 total_bytes; /* length of the file */
	u64 plain_bytes; /* device bytes this layer holds */
};

/* The state of a layer. */
enum cw_cow_state {
	CW_COW_OK,
	CW_COW_FULL,      /* writes get -ENOSPC until there is space */
	CW_COW_READ_ONLY, /* the caller opened it so */
	CW_COW_FAILED,    /* writes fail; reads go on */
};

/* The name that sysfs and the tools print. Constant. */
const char *cw_cow_state_name(enum cw_cow_state state);

struct cw_cow_space {
	enum cw_cow_state state;
	u64 limit;  /* bytes that the file may have; 0: any number */
	u64 needed; /* bytes that the file cannot do without */
};

/* The longest that the file can be on a medium of that capacity. */
static inline u64 cw_cow_capacity(const struct cw_cow_space *space, u64 medium)
{
	return space->limit ? cw_min(space->limit, medium) : medium;
}

/* Bytes that can still be written, as stored; or CW_CAPACITY_UNKNOWN. */
static inline u64 cw_cow_available(const struct cw_cow_space *space, u64 medium)
{
	u64 capacity = cw_cow_capacity(space, medium);

	if (space->state != CW_COW_OK)
		return 0;
	if (capacity == CW_CAPACITY_UNKNOWN)
		return capacity;
	return capacity - cw_min(capacity, space->needed);
}

/*
 * Space is low below this mark: a share of the capacity when percent is not 0,
 * else bytes. Both 0: space is never low.
 */
struct cw_low_mark {
	u32 percent;
	u64 bytes;
};

#define CW_DEFAULT_LOW_PERCENT 10

/* available may be CW_CAPACITY_UNKNOWN, which is not low. Both are in bytes. */
static inline bool cw_cow_is_low(const struct cw_low_mark *mark, u64 capacity,
				 u64 available)
{
	/* in two steps: their product may have more than 64 bits */
	u64 share = capacity / 100 * mark->percent +
		    capacity % 100 * mark->percent / 100;
	u64 bytes = mark->percent ? share : mark->bytes;

	return available != CW_CAPACITY_UNKNOWN && bytes && available <= bytes;
}

/* FAT and a ulimit end a file, too; then only another file helps. */
#define CW_COW_FULL_REMEDY						\
	"free space on its file system, raise its limit, or go on in "	\
	"another file with 'cloopwsetup --snapshot'"

enum { CW_COW_MISS = 0, CW_COW_HIT = 1, CW_COW_ZERO = 2 };

struct cw_cow_format {
	const char *name;
	/* longest run that is compressed as one, in bytes; 0: none */
	u32 extent;
	/* longest device that it can grow to, and its steps, in bytes */
	u64 longest;
	u32 step;
	bool (*probe)(const u8 *head, u32 len);
	/*
	 * NULL: cannot tell. Was the file of this format before its beginning
	 * was lost? cw_cow_identify() asks when no format probes. Reads to buf,
	 * which has CW_HEAD_LEN bytes.
	 */
	bool (*remains)(struct cw_io *io, void *buf);

	/* Fills in what the file says, without a check of all of it. */
	int (*identify)(struct cw_io *io, struct cw_cow_identity *id,
			struct cw_report *report);

	/*
	 * Checks that the layer is whole and was made for this base. Refuses
	 * with a report that names both. On error nothing is left behind.
	 */
	int (*open)(struct cw_cow *cow, const struct cw_cow_base *base,
		    struct cw_report *report);
	/* Does not flush. */
	void (*close)(struct cw_cow *cow);

	/*
	 * Looks at the start of [off, off + len). CW_COW_HIT: the layer holds
	 * *n bytes from there, and buf has them. CW_COW_MISS: the layer holds
	 * none of the *n bytes. Otherwise -errno. 0 < *n <= len.
	 */
	int (*read)(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n);

	/*
	 * The same without the data. CW_COW_ZERO: the layer holds the *n bytes
	 * and knows that they are zeros. 0 < *n <= len.
	 */
	int (*block_status)(struct cw_cow *cow, u64 off, u64 len, u64 *n);

	/*
	 * Looks without waiting. CW_COW_HIT: all of [off, off + len) lies at
	 * *pos of the layer's file, uncompressed. CW_COW_MISS: the layer holds
	 * nothing of it. -EAGAIN: neither, or not known yet. NULL: the format
	 * never knows.
	 */
	int (*locate)(struct cw_cow *cow, u64 off, u32 len, u64 *pos);

	/*
	 * off and len are multiples of cow->granularity. When write returns 0,
	 * read sees the data; the next flush makes the data durable. On error
	 * each granule holds its old or its new data.
	 */
	int (*write)(struct cw_cow *cow, u64 off, u32 len, const void *buf);

	/*
	 * A write in two steps, for a caller that brings the data to the file
	 * itself. place returns where all of the range goes, uncompressed;
	 * placed says that the data is there. NULL, both: the format has no
	 * such place.
	 */
	int (*place)(struct cw_cow *cow, u64 off, u32 len, u64 *pos);
	void (*placed)(struct cw_cow *cow, u64 off, u32 len);

	/* Writes zeros, with write's contract. NULL: device.c writes zeros. */
	int (*zero)(struct cw_cow *cow, u64 off, u64 len);

	/* Drops the data of the range. NULL: the format cannot. */
	int (*discard)(struct cw_cow *cow, u64 off, u64 len);

	/* On 0, all data for which write returned 0 before is durable. */
	int (*flush)(struct cw_cow *cow);

	void (*stat)(struct cw_cow *cow, struct cw_cow_stat *stat);

	/* Never does I/O. */
	void (*space)(struct cw_cow *cow, struct cw_cow_space *space);

	/*
	 * Sets the limit in bytes; 0: no limit. On 0 the limit is durable. On
	 * error the old limit stays. -ENOSPC: the layer needs more than that.
	 * NULL: the format cannot.
	 */
	int (*set_limit)(struct cw_cow *cow, u64 bytes);

	/*
	 * Makes the device of the layer longer: size is in bytes, more than
	 * cow->size and a multiple of the granularity. On 0 the new size is
	 * durable, and cow->size has it. Pages that no layer holds are zeros. On
	 * error the layer is as before. -ENOSPC: the layer has no room for a
	 * longer map. Other calls may be under way, within the old size. NULL:
	 * the format cannot.
	 */
	int (*grow)(struct cw_cow *cow, u64 size);

	/*
	 * The layer holds nothing afterwards, like a new one, and keeps its size
	 * and settings. On 0 that is durable. On error the layer is as before,
	 * or fails for good. Only read, block_status, locate and stat may be called
	 * meanwhile. NULL: the format cannot.
	 */
	int (*reset)(struct cw_cow *cow);

	/*
	 * Gives the space back that a reset has freed. That may take long, and
	 * any other call but a reset may be under way. NULL: there is nothing to
	 * do.
	 */
	void (*give_back)(struct cw_cow *cow);

	/*
	 * The driver calls this now and then. The layer notices that there is
	 * space again, and gives back what is above a new limit. NULL: there is
	 * nothing to do.
	 */
	void (*tend)(struct cw_cow *cow);

	/*
	 * Gives space back, and leaves the next attach nothing to recover. A
	 * freeze is quick afterwards. Writers may go on. NULL: there is nothing
	 * to do.
	 */
	void (*settle)(struct cw_cow *cow);

	/*
	 * Makes all that the layer holds durable. In the same step it marks the
	 * layer as frozen and gives it this UUID, by which the layers over it
	 * know its content. During the call and afterwards, only read, block_status,
	 * locate and stat may be called. On error the layer is as before. NULL:
	 * the format cannot.
	 */
	int (*freeze)(struct cw_cow *cow, const u8 *uuid);
};

struct cw_cow {
	const struct cw_cow_format *format;
	struct cw_io *io;
	struct cw_cache *cache;
	bool writable;
	u32 granularity; /* set by open: 512 or CW_PAGE_SIZE */
	bool plain;      /* set by open: written data is not compressed */
	u64 size;        /* bytes of the device; set by open and grow */
	bool frozen;     /* set by open and freeze, and so is uuid */
	u8 uuid[CW_UUID_LEN]; /* zeros: it has none */
	void *priv;
};

/*
 * A write to a COW file. Each lack of room is -ENOSPC, because there may be
 * room again.
 */
static inline int cw_cow_pwrite(struct cw_io *io, const void *buf, size_t len,
				u64 off)
{
	return cw_as_no_space(cw_pwrite(io, buf, len, off));
}

/* The codecs that a log may have: those with which the kernel can compress. */
#define CW_LOG_CODECS (CW_CODEC_BIT(CW_CODEC_NONE) |	\
		       CW_CODEC_BIT(CW_CODEC_ZLIB) |	\
		       CW_CODEC_BIT(CW_CODEC_LZ4) |	\
		       CW_CODEC_BIT(CW_CODEC_ZSTD))

extern const struct cw_cow_format cw_cow_log;
extern const struct cw_cow_format cw_cow_uml;

extern const struct cw_cow_format *const cw_cow_formats[];
extern const unsigned int cw_cow_formats_count;

/*
 * io and cache are borrowed until close. writable false: the layer never
 * changes. On error *out is NULL, and the report says why.
 */
int cw_cow_open(struct cw_io *io, struct cw_cache *cache, bool writable,
		const struct cw_cow_base *base, struct cw_cow **out,
		struct cw_report *report);
void cw_cow_close(struct cw_cow *cow); /* NULL is fine */

/*
 * Can a COW file of this name, whose device has so many bytes, have a device of
 * size? On error the report says why not.
 */
int cw_cow_check_size(const struct cw_cow_format *format, const char *name,
		      u64 bytes, u64 size, struct cw_report *report);

/*
 * Finds the format of a COW file and fills in *id. On error the report says
 * why.
 */
int cw_cow_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report);

#endif
