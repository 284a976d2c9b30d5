/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fetches the boot area of an image ahead of its readers. mkcloopw --order
 * stored the blocks of that area in the order of their use.
 *
 * The readers drive it: a read in the area asks the io for the bytes behind it.
 * So the fetching is in step with the use. It ends at the end of the area, or
 * when the boot mostly reads elsewhere.
 */
#ifndef CLOOPW_PREFETCH_H
#define CLOOPW_PREFETCH_H

#include "io.h"

/* Bytes that are fetched ahead of the last reader at most, and with one call. */
#define CW_PREFETCH_WINDOW (4u << 20)
#define CW_PREFETCH_STEP (512u << 10)

struct cw_prefetch {
	u64 begin; /* the first byte; constant, as the next three are */
	u64 end;   /* begin == end: there is no area */
	u64 index; /* pages that tell where blocks are */
	u64 index_end;
	struct cw_mutex lock;
	struct cw_atomic64 active; /* 0: nothing is fetched any more */
	u64 asked;                 /* lock; the io was told of all before */
	u32 strayed; /* lock; reads elsewhere, less those in the area */
};

void cw_prefetch_init(struct cw_prefetch *ahead); /* without an area */
void cw_prefetch_destroy(struct cw_prefetch *ahead); /* no reader is left */

/* Makes begin..end the area. Before the first read. */
void cw_prefetch_set(struct cw_prefetch *ahead, u64 begin, u64 end, u64 index,
		     u64 index_end);

/* A reader is about to read len bytes at off. May sleep. Any thread. */
void cw_prefetch_note(struct cw_prefetch *ahead, struct cw_io *io, u64 off,
		      u32 len);

#endif
