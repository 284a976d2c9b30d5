// SPDX-License-Identifier: GPL-2.0
/*
 * The reserve: free segments and dirty map pages that must be left, so that a
 * checkpoint is always possible, and that may be taken therefore.
 */
#include "log.h"

/* The longest record of a map page: header and 4096 bytes. */
#define META_SECTORS 9u
/* Segments to which the cleaner moves the live data of its victims. */
#define CLEAN_ROOM 4u

/* ---- segments ---- */

u32 cw_log_live_segments(struct cw_log *log)
{
	return cw_div_up(log->live, LOG_SHARES);
}

/* Segments that records of so many sectors need besides the open one. */
static u32 meta_segments(const struct cw_log *log, u64 sectors)
{
	u32 left = 0;

	if (log->meta_segment != CW_LOG_NO_SEGMENT)
		left = CW_LOG_SEGMENT_SECTORS - cw_log_next_meta_block(log);
	/* At the end of each segment a record may not fit any more. */
	left -= cw_min(left, META_SECTORS);
	if (sectors <= left)
		return 0;
	return cw_div_up(sectors - left, CW_LOG_SEGMENT_SECTORS - META_SECTORS);
}

u32 cw_log_checkpoint_need(struct cw_log *log, u32 more)
{
	u64 pages = cw_min(log->dirty_pages + log->reserved_pages + more,
			   log->map_pages);
	u64 usage_pages = cw_div_up(log->nr_segments + 1, CW_LOG_FANOUT);
	/* The checkpoint itself takes segments, and frees others. */
	u64 usage = cw_min(log->nr_usage_touched + 2 + LOG_TOUCH_MAX, usage_pages);

	pages += cw_min(pages + LOG_TOUCH_MAX, log->map_dirs) +
		 cw_div_up(log->map_dirs, CW_LOG_FANOUT) +
		 usage + cw_div_up(usage_pages, CW_LOG_FANOUT);
	return meta_segments(log, pages * META_SECTORS);
}

/*
 * The map's closed segments hold at most twice their live data, see
 * clean_meta(). While a checkpoint moves that, there is one segment more.
 */
u32 cw_log_meta_reserve(struct cw_log *log)
{
	u64 most = 2 + 2 * log->meta_live / LOG_SHARES;
	u64 growth = most - cw_min(most, log->nr_meta);

	return cw_max(cw_log_checkpoint_need(log, 0), growth);
}

u32 cw_log_checkpoint_most(struct cw_log *log)
{
	/* A small file is not to be large for that alone. */
	return cw_min(1 + cw_log_live_segments(log) / 16, log->nr_free);
}

u32 cw_log_reserve(struct cw_log *log, enum log_purpose purpose)
{
	u32 reserve = cw_log_meta_reserve(log) + purpose;

	/* Room for the cleaner to do much at a time; a small log needs less. */
	if (purpose == LOG_FOR_DATA)
		reserve += cw_min(cw_log_live_segments(log) / 16, CLEAN_ROOM);
	return reserve;
}

/* Nothing lives in the current segment: once left, it can be freed. */
static bool is_spent(const struct cw_log *log)
{
	const struct log_segment *segment;

	if (log->segment == CW_LOG_NO_SEGMENT)
		return false;
	segment = &log->segments[log->segment];
	return !segment->filled || (!log->first && !segment->live);
}

/*
 * Discards and cleaning must go on when only the reserve is free, or the file
 * stays full for ever. Let m be the segments that checkpoints may need. Data is
 * written while m + 3 segments are free and leaves as many. Below that:
 *
 * - at m + 2, a discard may take one. Only discards go into it, so when it is
 *   full it is spent, another may be taken instead, and a checkpoint frees it.
 * - at m + 2, or at m + 1 when the current segment is spent, the cleaner may
 *   take one. It begins only then, and one is enough to empty a victim, which
 *   the next checkpoint frees: it gives back at least what it took.
 * - a crash leaves m + 1, which is what beginning a log takes, or a spent
 *   segment, which a checkpoint frees before that.
 */
bool cw_log_may_take(struct cw_log *log, enum log_purpose purpose)
{
	u32 reserve = cw_log_reserve(log, purpose);

	if (purpose == LOG_FOR_SPACE && is_spent(log))
		reserve = cw_log_reserve(log, LOG_FOR_BEGIN);
	return log->nr_free > reserve;
}

bool cw_log_may_fill(struct cw_log *log)
{
	return log->nr_free >= cw_log_reserve(log, LOG_FOR_DATA);
}

/* ---- dirty map pages ---- */

/*
 * May two more pages become dirty? A checkpoint must be possible for them and
 * all others. With lock held.
 */
bool cw_log_may_get_dirty(struct cw_log *log, bool maint_held)
{
	u32 total = log->dirty_pages + log->reserved_pages + 2;

	if (total > LOG_DIRTY_MAX)
		return false;
	/* Half is kept for a thread that makes room for the others. */
	if (!maint_held && log->reserved_pages + 2 > LOG_DIRTY_MAX / 2)
		return false;
	if (!log->begun ||
	    cw_log_checkpoint_need(log, 2) <= cw_log_checkpoint_most(log))
		return true;
	/* Neither a checkpoint nor a wait for others would help. */
	return !log->dirty_pages && (maint_held || !log->reserved_pages);
}

bool cw_log_reserve_dirty(struct cw_log *log, bool maint_held)
{
	bool ok;

	cw_mutex_lock(&log->lock);
	ok = cw_log_may_get_dirty(log, maint_held);
	if (ok)
		log->reserved_pages += 2;
	cw_mutex_unlock(&log->lock);
	return ok;
}

/* Waits for other writers to finish, if that helps; false: it does not. */
bool cw_log_wait_for_reserved(struct cw_log *log)
{
	bool wait;

	cw_mutex_lock(&log->lock);
	wait = !cw_log_may_get_dirty(log, false) && log->reserved_pages &&
	       (!log->dirty_pages ||
		log->reserved_pages + 2 > LOG_DIRTY_MAX / 2);
	if (wait)
		cw_cond_wait(&log->changed, &log->lock);
	cw_mutex_unlock(&log->lock);
	return wait;
}

void cw_log_give_up_room(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	log->reserved_pages -= 2;
	cw_mutex_unlock(&log->lock);
	cw_cond_broadcast(&log->changed);
}

void cw_log_finish(struct cw_log *log, struct log_append *append)
{
	cw_log_put_map_pages(log, append);
	cw_log_give_up_room(log);
}
