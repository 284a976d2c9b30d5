// SPDX-License-Identifier: GPL-2.0
#include "prefetch.h"

/* So many reads elsewhere, without as many in the area, show that it is wrong. */
#define MAX_STRAYED 512

void cw_prefetch_init(struct cw_prefetch *ahead)
{
	cw_mutex_init(&ahead->lock);
}

void cw_prefetch_destroy(struct cw_prefetch *ahead)
{
	cw_mutex_destroy(&ahead->lock);
}

void cw_prefetch_set(struct cw_prefetch *ahead, u64 begin, u64 end, u64 index,
		     u64 index_end)
{
	ahead->begin = begin;
	ahead->end = end;
	ahead->index = index;
	ahead->index_end = index_end;
	ahead->asked = begin;
	cw_atomic64_set(&ahead->active, begin < end);
}

/* Is the place where the readers of the area can be by now? */
static bool is_near(const struct cw_prefetch *ahead, u64 off)
{
	return off >= ahead->begin && off < ahead->end &&
	       off < ahead->asked + CW_PREFETCH_WINDOW;
}

/* Takes note of the read. Returns where the fetching may go now. lock is held. */
static u64 follow(struct cw_prefetch *ahead, u64 off, u32 len)
{
	if (!is_near(ahead, off)) {
		if (++ahead->strayed >= MAX_STRAYED)
			cw_atomic64_set(&ahead->active, 0);
		return ahead->asked;
	}
	if (ahead->strayed)
		ahead->strayed--;
	return cw_min(off + len + CW_PREFETCH_WINDOW, ahead->end);
}

static void fetch(struct cw_io *io, u64 off, u64 end)
{
	for (; off < end; off += CW_PREFETCH_STEP)
		cw_will_read(io, off, cw_min(CW_PREFETCH_STEP, end - off));
}

void cw_prefetch_note(struct cw_prefetch *ahead, struct cw_io *io, u64 off,
		      u32 len)
{
	u64 from, to;

	if (!cw_atomic64_read(&ahead->active))
		return;
	cw_mutex_lock(&ahead->lock);
	from = ahead->asked;
	to = follow(ahead, off, len);
	/* Many small steps would make many small requests. */
	if (to < from + CW_PREFETCH_STEP && to < ahead->end)
		to = from;
	ahead->asked = cw_max(from, to);
	if (ahead->asked == ahead->end)
		cw_atomic64_set(&ahead->active, 0);
	cw_mutex_unlock(&ahead->lock);
	if (from == ahead->begin && to > from)
		fetch(io, ahead->index, ahead->index_end);
	fetch(io, from, to);
}
