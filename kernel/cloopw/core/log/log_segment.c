// SPDX-License-Identifier: GPL-2.0
/* The segments of the file and what lives in them. */
#include "log.h"

/* Replaces the array by a larger one. Returns the old array. */
static struct log_segment *replace(struct cw_log *log, struct log_segment *more,
				   u32 room)
{
	struct log_segment *old = log->segments;

	if (log->nr_segments)
		memcpy(more, old, log->nr_segments * sizeof(*more));
	log->segments = more;
	log->segment_room = room;
	return old;
}

int cw_log_segments_grow(struct cw_log *log, u32 nr, cw_log_alloc alloc)
{
	struct log_segment *more = NULL, *old = NULL;
	u32 room = log->segment_room ? log->segment_room : 64;

	while (room < nr)
		room *= 2;
	if (room != log->segment_room) {
		more = alloc(room * sizeof(*more));
		if (!more)
			return -ENOMEM;
	}
	cw_mutex_lock(&log->lock);
	if (more)
		old = replace(log, more, room);
	log->nr_segments = nr;
	cw_mutex_unlock(&log->lock);
	cw_free(old);
	return 0;
}

struct log_segment *cw_log_segment_at(struct cw_log *log, u64 sector)
{
	u32 n = cw_log_segment_of(sector);

	return n < log->nr_segments ? &log->segments[n] : NULL;
}

/*
 * An entry appears in the map (sign 1) or goes (-1). Shares come from the entry
 * alone, so an entry takes away what it added. So a segment is empty exactly
 * when no entry refers to it.
 */
void cw_log_account(struct cw_log *log, u64 word, int sign)
{
	struct log_segment *segment;
	struct log_entry entry;
	u32 share;

	if (!word)
		return;
	log->plain_pages += sign;
	cw_log_entry_decode(word, &entry);
	if (entry.state != CW_LOG_DATA)
		return;
	segment = cw_log_segment_at(log, entry.sector);
	share = cw_log_entry_share(&entry);
	if (!segment || segment->state != SEGMENT_DATA ||
	    (sign < 0 ? segment->live < share :
			segment->live + share > LOG_SHARES)) {
		/* The file lies about its usage. */
		if (segment)
			cw_log_segment_distrust(log, cw_log_segment_of(entry.sector));
		return;
	}
	log->nr_empty -= !segment->live;
	if (sign > 0)
		segment->live += share;
	else
		segment->live -= share;
	log->nr_empty += !segment->live;
	log->live += sign > 0 ? (u64)share : -(u64)share;
	cw_log_segment_changed(log, cw_log_segment_of(entry.sector));
}

void cw_log_segment_changed(struct cw_log *log, u32 n)
{
	u32 page = n / CW_LOG_FANOUT;

	log->segments[n].changed = true;
	log->nr_usage_touched += !log->usage_touched[page];
	log->usage_touched[page] = true;
}

u64 cw_log_oldest_gen(const struct cw_log *log)
{
	u32 n = log->segment;

	if (log->first)
		n = cw_log_segment_of(log->first->sector);
	return n == CW_LOG_NO_SEGMENT ? ~0ull : log->segments[n].gen;
}

/* Free, with space and nobody reading in it. */
static bool is_usable(const struct log_segment *segment)
{
	return segment->state == SEGMENT_FREE && segment->backed &&
	       !segment->pins && !segment->bad;
}

static void count_usable(struct cw_log *log, u32 n)
{
	if (!is_usable(&log->segments[n]))
		return;
	log->nr_free++;
	log->usable_from = cw_min(log->usable_from, n);
}

void cw_log_segment_distrust(struct cw_log *log, u32 n)
{
	if (is_usable(&log->segments[n]))
		log->nr_free--;
	log->segments[n].bad = true;
}

/*
 * Takes the first one, so that used segments stay near the beginning of the
 * file.
 */
u32 cw_log_take_free_segment(struct cw_log *log, u8 state)
{
	u32 n;

	if (log->next_gen >= log->gen_limit)
		return CW_LOG_NO_SEGMENT; /* a checkpoint raises it */
	for (n = log->usable_from; n < log->nr_segments; n++)
		if (is_usable(&log->segments[n]))
			break;
	log->usable_from = n;
	if (n >= log->nr_segments)
		return CW_LOG_NO_SEGMENT;
	log->segments[n].state = state;
	log->segments[n].gen = log->next_gen++;
	log->segments[n].filled = false;
	log->nr_free--;
	log->nr_used++;
	log->nr_meta += state == SEGMENT_META;
	log->nr_empty += state == SEGMENT_DATA;
	cw_log_segment_changed(log, n);
	return n;
}

void cw_log_free_segment(struct cw_log *log, u32 n)
{
	struct log_segment *segment = &log->segments[n];

	log->nr_meta -= segment->state == SEGMENT_META;
	log->nr_empty -= segment->state == SEGMENT_DATA;
	segment->state = SEGMENT_FREE;
	segment->dying = false;
	segment->backed = true;
	log->nr_used--;
	cw_log_segment_changed(log, n);
	count_usable(log, n);
}

/*
 * The file may hold the space of each of them, and the next checkpoint says so. A
 * damaged record hurts no more.
 */
void cw_log_free_all_segments(struct cw_log *log)
{
	struct log_segment *segment;
	u32 n;

	memset(log->usage_touched, 0, LOG_USAGE_PAGES * sizeof(bool));
	log->nr_usage_touched = 0;
	log->nr_used = 0;
	log->nr_meta = 0;
	log->nr_empty = 0;
	log->nr_free = 0;
	for (n = 0; n < log->nr_segments; n++) {
		segment = &log->segments[n];
		segment->backed |= segment->state != SEGMENT_FREE;
		segment->state = SEGMENT_FREE;
		segment->live = 0;
		segment->pending = 0;
		segment->dying = false;
		segment->victim = false;
		segment->bad = false;
		cw_log_segment_changed(log, n);
		count_usable(log, n);
	}
}

void cw_log_segment_backed(struct cw_log *log, u32 n)
{
	log->segments[n].backed = true;
	count_usable(log, n);
}

void cw_log_pin(struct cw_log *log, u32 n)
{
	if (is_usable(&log->segments[n]))
		log->nr_free--;
	log->segments[n].pins++;
}

void cw_log_unpin(struct cw_log *log, u32 n)
{
	log->segments[n].pins--;
	count_usable(log, n);
}
