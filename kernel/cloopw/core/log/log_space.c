// SPDX-License-Identifier: GPL-2.0
/* The log's state, the space it needs, and its limit. */
#include "log.h"

u64 cw_log_segments_within(u64 limit)
{
	u64 room = limit > CW_LOG_START ? limit - CW_LOG_START : 0;

	if (!limit)
		return LOG_MAX_SEGMENTS;
	return cw_min(LOG_MAX_SEGMENTS, room >> CW_LOG_SEGMENT_SHIFT);
}

/* With lock held. */
static enum cw_cow_state state_of(const struct cw_log *log)
{
	if (!log->cow->writable)
		return CW_COW_READ_ONLY;
	if (log->failed || log->stuck)
		return CW_COW_FAILED;
	return log->full ? CW_COW_FULL : CW_COW_OK;
}

void cw_log_space(struct cw_cow *cow, struct cw_cow_space *space)
{
	struct cw_log *log = cow->priv;

	cw_mutex_lock(&log->lock);
	space->state = state_of(log);
	space->limit = log->limit;
	space->needed = CW_LOG_START +
			(log->live + log->meta_live) * CW_SECTOR_SIZE /
				CW_LOG_EXTENT_PAGES;
	if (cow->writable)
		space->needed += (u64)cw_log_reserve(log, LOG_FOR_DATA)
				 << CW_LOG_SEGMENT_SHIFT;
	cw_mutex_unlock(&log->lock);
}

/* With maint and lock held. */
static void use_limit(struct cw_log *log, u64 bytes)
{
	log->limit = bytes;
	log->max_segments = cw_log_segments_within(bytes);
	log->super->limit = cw_to_le64(bytes);
}

/*
 * The limit is never below the used segments and the reserve for discards and
 * checkpoints. Otherwise nothing could be given back any more.
 */
int cw_log_set_limit(struct cw_cow *cow, u64 bytes)
{
	struct cw_log *log = cow->priv;
	u64 old;
	int err = 0;

	cw_mutex_lock(&log->maint);
	cw_mutex_lock(&log->lock);
	old = log->limit;
	if (cw_log_segments_within(bytes) < log->nr_used + cw_log_reserve(log, LOG_FOR_DATA))
		err = -ENOSPC;
	else
		use_limit(log, bytes);
	cw_mutex_unlock(&log->lock);
	if (err)
		goto unlock;
	err = cw_log_rewrite_super(log);
	if (err) {
		cw_mutex_lock(&log->lock);
		use_limit(log, old);
		cw_mutex_unlock(&log->lock);
	}
unlock:
	cw_mutex_unlock(&log->maint);
	return err;
}

/* ---- growth ---- */

/*
 * A longer map needs more room for its checkpoints. Makes that room, so that a
 * discard and the cleaner find theirs later. Takes maint.
 */
static int make_room_for_map(struct cw_log *log)
{
	bool was_full;
	int err;

	cw_mutex_lock(&log->lock);
	was_full = log->full;
	cw_mutex_unlock(&log->lock);
	err = cw_log_make_room(log, LOG_FOR_DATA);
	if (err != -ENOSPC || was_full)
		return err;
	cw_mutex_lock(&log->lock);
	log->full = false; /* the map is as before, so there is room */
	cw_mutex_unlock(&log->lock);
	return err;
}

/* With maint held: the superblock says the size. The file below keeps its own. */
static void set_super_size(struct cw_log *log, u64 size, u64 base_size)
{
	struct cw_disk_log_super *super = log->super;
	u64 incompat = cw_from_le64(super->incompat) & ~CW_LOG_INCOMPAT_GROWN;
	bool grown = size > base_size;

	if (grown)
		incompat |= CW_LOG_INCOMPAT_GROWN;
	super->incompat = cw_to_le64(incompat);
	super->size = cw_to_le64(size);
	super->base_size = cw_to_le64(grown ? base_size : 0);
}

/* With maint held. When neither copy counts for sure, nothing was written beyond. */
static int store_size(struct cw_log *log, u64 size)
{
	u64 base_size = cw_log_base_size(log->super);
	int err;

	set_super_size(log, size, base_size);
	err = cw_log_rewrite_super(log);
	if (err)
		set_super_size(log, log->cow->size, base_size);
	return err;
}

/*
 * 1. The map becomes longer in memory, and finds the room that it needs.
 * 2. Both superblocks get the size and are durable.
 * 3. The caller shows the size. Nobody writes beyond the old one before.
 *
 * A crash before the end of 2 leaves either size; beyond the old one are zeros.
 */
int cw_log_grow(struct cw_cow *cow, u64 size)
{
	struct cw_log *log = cow->priv;
	int err;

	cw_mutex_lock(&log->maint);
	err = cw_log_map_resize(log, size);
	cw_mutex_unlock(&log->maint);
	if (err)
		return err;
	err = make_room_for_map(log);
	cw_mutex_lock(&log->maint);
	if (!err)
		err = store_size(log, size);
	if (err)
		(void)cw_log_map_resize(log, cow->size);
	else
		cow->size = size;
	cw_mutex_unlock(&log->maint);
	return err;
}

void cw_log_note_result(struct cw_log *log, int err)
{
	if (err != -ENOSPC)
		return;
	cw_mutex_lock(&log->lock);
	log->full = true;
	cw_mutex_unlock(&log->lock);
}
