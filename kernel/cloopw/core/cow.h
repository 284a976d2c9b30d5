/* SPDX-License-Identifier: GPL-2.0 */
/*
 * COW layers. One file and one row of cw_cow_formats[] a format.
 *
 * A layer knows which parts of the device it holds and their data. device.c
 * stacks layers over a base; a layer knows nothing of what is below it.
 */
#ifndef CLOOPW_COW_H
#define CLOOPW_COW_H

#include "cache.h"
#include "image.h"
#include "io.h"
#include "report.h"

struct cw_cow;

#define CW_COW_PATH_LEN 4096

/* What a layer must have been made for. */
struct cw_cow_base {
	u64 size;             /* bytes of the device, whole sectors */
	s64 mtime;            /* of the file below; 0: unknown */
	const char *name;     /* of the file below */
	u8 uuid[CW_UUID_LEN]; /* of the file below; zeros: it has none */
	u64 digest;           /* of its content; 0: it has none */
	bool is_layer;        /* the file below is a COW layer, too */
};

/* What a layer says of itself and of what it was made for. Large. */
struct cw_cow_identity {
	const struct cw_cow_format *format;
	u8 uuid[CW_UUID_LEN];       /* zeros: it has none */
	u8 below_uuid[CW_UUID_LEN]; /* of what is below; zeros: not told */
	u64 size;                   /* bytes of the device */
	bool over_layer;            /* what is below is a COW layer */
	bool frozen;                /* never written again */
	bool unused;                /* nothing was ever written to it */
	char below[CW_COW_PATH_LEN]; /* path of what is below, a hint */
};

struct cw_cow_stat {
	u64 live_bytes;  /* stored bytes that are in use */
	u64 dead_bytes;  /* stored bytes that are superseded */
	u64 total_bytes; /* length of the file */
	u64 plain_bytes; /* device bytes this layer holds */
};

/* How a layer does. */
enum cw_cow_state {
	CW_COW_OK,
	CW_COW_FULL,      /* writes get ENOSPC, until there is space */
	CW_COW_READ_ONLY, /* it was opened so */
	CW_COW_FAILED,    /* it cannot be written; reading goes on */
};

/* As it is told in sysfs and elsewhere. */
const char *cw_cow_state_name(enum cw_cow_state state);

struct cw_cow_space {
	enum cw_cow_state state;
	u64 limit;  /* bytes the file may have; 0: any number */
	u64 needed; /* bytes that it cannot do without */
};

/* The most that the file can be on a medium with that capacity. */
static inline u64 cw_cow_capacity(const struct cw_cow_space *space, u64 medium)
{
	return space->limit ? cw_min(space->limit, medium) : medium;
}

/* What can still be written, as it is stored; CW_CAPACITY_UNKNOWN. */
static inline u64 cw_cow_available(const struct cw_cow_space *space, u64 medium)
{
	u64 capacity = cw_cow_capacity(space, medium);

	if (space->state != CW_COW_OK)
		return 0;
	if (capacity == CW_CAPACITY_UNKNOWN)
		return capacity;
	return capacity - cw_min(capacity, space->needed);
}

enum { CW_COW_MISS = 0, CW_COW_HIT = 1, CW_COW_ZERO = 2 };

struct cw_cow_format {
	const char *name;
	u32 extent; /* longest that is compressed as one, in bytes; 0: none is */
	bool (*probe)(const u8 *head, u32 len);
	/*
	 * Or NULL. No format knows its beginning: was it a file of this one all
	 * the same? Reads to buf, CW_HEAD_LEN bytes.
	 */
	bool (*remains)(struct cw_io *io, void *buf);

	/* Fills in what the file says, without checking all of it. */
	int (*identify)(struct cw_io *io, struct cw_cow_identity *id,
			struct cw_report *report);

	/*
	 * Checks that the layer is whole and was made for this base; refuses
	 * with a report that names both. On error nothing is left behind.
	 */
	int (*open)(struct cw_cow *cow, const struct cw_cow_base *base,
		    struct cw_report *report);
	/* Does not flush. */
	void (*close)(struct cw_cow *cow);

	/*
	 * Looks at the start of [off, off + len): CW_COW_HIT when the layer
	 * holds it, with *n bytes of it copied to buf, CW_COW_MISS when it
	 * does not for *n bytes, or -errno. 0 < *n <= len.
	 */
	int (*read)(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n);

	/*
	 * As read, without the data: CW_COW_ZERO when what the layer holds is
	 * known to be zeros. 0 < *n <= len.
	 */
	int (*where)(struct cw_cow *cow, u64 off, u64 len, u64 *n);

	/*
	 * What can be told without waiting: CW_COW_HIT when all of [off,
	 * off + len) lies in the layer's file as it is, at *pos; CW_COW_MISS
	 * when the layer holds nothing of it; -EAGAIN otherwise, and when that
	 * is not known yet. NULL: it never is.
	 */
	int (*locate)(struct cw_cow *cow, u64 off, u32 len, u64 *pos);

	/*
	 * off and len are multiples of cow->granularity. When it returns the
	 * data is seen by read; it is durable after the next flush. On error
	 * each granule holds its old or its new data.
	 */
	int (*write)(struct cw_cow *cow, u64 off, u32 len, const void *buf);

	/*
	 * A write in two steps, for who brings the data to the file by
	 * themselves: where in it all of the range goes as it is, and that it
	 * is there. NULL, both: the format has no such place.
	 */
	int (*place)(struct cw_cow *cow, u64 off, u32 len, u64 *pos);
	void (*placed)(struct cw_cow *cow, u64 off, u32 len);

	/* As write, with zeros. NULL: device.c writes zeros. */
	int (*zero)(struct cw_cow *cow, u64 off, u64 len);

	/* The data is not needed any more. NULL: the format cannot. */
	int (*discard)(struct cw_cow *cow, u64 off, u64 len);

	/* When it returns 0 all that write returned for before is durable. */
	int (*flush)(struct cw_cow *cow);

	void (*stat)(struct cw_cow *cow, struct cw_cow_stat *stat);

	/* Without I/O. */
	void (*space)(struct cw_cow *cow, struct cw_cow_space *space);

	/*
	 * Durable when it returns 0; on error it is as it was. 0: none.
	 * -ENOSPC when more than that is needed. NULL: the format cannot.
	 */
	int (*set_limit)(struct cw_cow *cow, u64 bytes);

	/*
	 * To be called now and then: notices that there is space again, and
	 * gives back what is above a new limit. NULL: nothing to do.
	 */
	void (*tend)(struct cw_cow *cow);

	/* Does in advance what makes freeze quick; others may write. */
	void (*before_freeze)(struct cw_cow *cow);

	/*
	 * Makes all that the layer holds durable and, in one step with that,
	 * marks it as never to be written again and gives it this UUID: that
	 * of its content, by which the layers over it know it. Only read and
	 * stat may be called meanwhile and from then on. On error it is still
	 * the layer it was. NULL: the format cannot.
	 */
	int (*freeze)(struct cw_cow *cow, const u8 *uuid);
};

struct cw_cow {
	const struct cw_cow_format *format;
	struct cw_io *io;
	struct cw_cache *cache;
	bool writable;
	u32 granularity; /* set by open: 512 or CW_PAGE_SIZE */
	bool plain;      /* set by open: what is written is not compressed */
	u64 size;        /* of the device */
	bool frozen;     /* set by open and freeze, and so is uuid */
	u8 uuid[CW_UUID_LEN]; /* zeros: it has none */
	void *priv;
};

/* To a COW file: what has no room is full, and may have room again. */
static inline int cw_cow_pwrite(struct cw_io *io, const void *buf, size_t len,
				u64 off)
{
	return cw_as_no_space(cw_pwrite(io, buf, len, off));
}

/* What a log is compressed with: what the kernel too can compress with. */
#define CW_LOG_CODECS (CW_CODEC_BIT(CW_CODEC_NONE) |	\
		       CW_CODEC_BIT(CW_CODEC_ZLIB) |	\
		       CW_CODEC_BIT(CW_CODEC_LZ4) |	\
		       CW_CODEC_BIT(CW_CODEC_ZSTD))

extern const struct cw_cow_format cw_cow_log;
extern const struct cw_cow_format cw_cow_uml;

extern const struct cw_cow_format *const cw_cow_formats[];
extern const unsigned int cw_cow_formats_count;

/* io and cache are borrowed until close. */
int cw_cow_open(struct cw_io *io, struct cw_cache *cache, bool writable,
		const struct cw_cow_base *base, struct cw_cow **out,
		struct cw_report *report);
void cw_cow_close(struct cw_cow *cow); /* NULL is fine */

/* What kind of COW file it is, and what it says of itself. */
int cw_cow_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report);

#endif
