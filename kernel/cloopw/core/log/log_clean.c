// SPDX-License-Identifier: GPL-2.0
/*
 * Room: growing the file, taking back dead segments, cleaning mostly dead ones,
 * giving free ones back to the file system.
 *
 * No thread does this. The writer that finds no free segment makes room, and
 * the others wait for it. That also slows writers down to the speed of the
 * cleaner.
 */
#include "log.h"

/*
 * Segments that the file may have before the cleaner runs, by its live data:
 * live * 11/8 + 6. So victims are 3/4 full on average, and the file stays
 * within 1.5 times its live data plus 8 MiB.
 */
#define GROW_NUM 11u
#define GROW_DEN 8u
#define GROW_EXTRA 6u
/* The same after many discards: the open segments, and one. */
#define TIDY_EXTRA 3u
/* A victim above this is not worth its copy: nearly nothing would be won. */
#define CLEAN_MAX_SHARES (LOG_SHARES / 8 * 7)
/* The cleaner stops after so many victims, or after so many segments won. */
#define CLEAN_BATCH 16u
#define CLEAN_GOAL 4u
/* A checkpoint is worth it for so many dead segments. */
#define RECLAIM_DEAD 4u
/* Segments that one punch frees at most. */
#define PUNCH_MAX 1024u
/* The same where writers wait for it. */
#define GIVE_BACK_STEP 16u
/* Free segments that stay allocated, for the next writes. */
#define KEEP_FREE 1u
/* A record to be moved cannot be read. Other errors are of writing. */
#define DAMAGED (-EBADMSG)

/*
 * Only older segments than those of records on their way can be cleaned. The
 * map has all of their records; it would call younger ones dead.
 */
static bool is_cleanable(const struct log_segment *segment, u64 oldest_gen)
{
	return segment->state == SEGMENT_DATA && segment->gen < oldest_gen &&
	       !segment->bad && segment->live;
}

/* The numbers that decide about room, of one moment. In segments. */
struct outlook {
	int failed;    /* -errno: nothing is written any more */
	bool full;
	bool out_of_generations; /* only a checkpoint makes more durable */
	u32 used, free;
	u32 most;      /* within the limit */
	u32 live;      /* filled by the live data */
	u32 meta_reserve;
	u32 reserve;   /* data does not get these */
};

static struct outlook look(struct cw_log *log)
{
	struct outlook now;

	cw_mutex_lock(&log->lock);
	now = (struct outlook){
		.failed = log->failed,
		.full = log->full,
		.out_of_generations = log->next_gen >= log->gen_limit,
		.used = log->nr_used,
		.free = log->nr_free,
		.most = log->max_segments,
		.live = cw_log_live_segments(log),
		.meta_reserve = cw_log_meta_reserve(log),
		.reserve = cw_log_reserve(log, LOG_FOR_DATA),
	};
	cw_mutex_unlock(&log->lock);
	return now;
}

static u32 bound(const struct outlook *now, u32 extra)
{
	return now->live * GROW_NUM / GROW_DEN + extra;
}

/* Segments that the next checkpoint frees. */
static u32 count_dead(struct cw_log *log)
{
	u64 oldest_gen;
	u32 n, dead = 0;

	cw_mutex_lock(&log->lock);
	oldest_gen = cw_log_oldest_gen(log);
	for (n = log->nr_empty ? 0 : log->nr_segments; n < log->nr_segments;
	     n++) {
		const struct log_segment *segment = &log->segments[n];

		dead += segment->state == SEGMENT_DATA && !segment->live &&
			!segment->bad && segment->gen < oldest_gen;
	}
	cw_mutex_unlock(&log->lock);
	return dead;
}

static struct log_segment look_at(struct cw_log *log, u32 n)
{
	struct log_segment segment;

	cw_mutex_lock(&log->lock);
	segment = log->segments[n];
	cw_mutex_unlock(&log->lock);
	return segment;
}

/* ---- growing; with maint held ---- */

static int allocate_segment(struct cw_log *log, u32 n)
{
	u64 off = cw_log_sector_offset(cw_log_first_sector(n));
	int err = cw_allocate(log->io, off, CW_LOG_SEGMENT_LEN);

	if (err != -EOPNOTSUPP)
		return err;
	memset(log->clean_buf, 0, CW_LOG_SEGMENT_LEN);
	return cw_cow_pwrite(log->io, log->clean_buf, CW_LOG_SEGMENT_LEN, off);
}

/* A free segment without space, or the next new one; with lock held. */
static int find_unbacked(struct cw_log *log, u32 *found)
{
	u32 n;

	for (n = log->unbacked_from; n < log->nr_segments; n++)
		if (log->segments[n].state == SEGMENT_FREE &&
		    !log->segments[n].backed && !log->segments[n].bad)
			break;
	log->unbacked_from = n;
	*found = n;
	/*
	 * Counts the segments, too: after the limit was lowered, some lie
	 * behind it.
	 */
	if (n >= log->max_segments ||
	    log->nr_used + log->nr_free >= log->max_segments)
		return -ENOSPC;
	return 0;
}

/*
 * Grows the file by one segment, or backs a free one. alloc: the caller's
 * allocator.
 */
static int grow(struct cw_log *log, cw_log_alloc alloc)
{
	u32 before, n;
	int err;

	cw_mutex_lock(&log->lock);
	before = log->nr_segments;
	err = find_unbacked(log, &n);
	cw_mutex_unlock(&log->lock);
	if (!err && n >= before)
		err = cw_log_segments_grow(log, n + 1, alloc);
	if (!err)
		err = cw_log_snapshot_room(log, alloc);
	if (!err)
		err = allocate_segment(log, n);
	cw_mutex_lock(&log->lock);
	if (err) {
		/* The file may be too short for it. */
		log->nr_segments = before;
	} else {
		cw_log_segment_backed(log, n);
	}
	cw_mutex_unlock(&log->lock);
	return err;
}

/* ---- cleaning; with maint held ---- */

/* Which of the record's pages the map still finds here; with lock held. */
static u16 live_pages(const struct log_append *append, u64 sector)
{
	const struct log_record *record = &append->record;
	u16 live = 0;
	u32 i;

	for (i = 0; i < record->pages; i++) {
		u64 page = record->page + i;
		struct log_page *map = append->map[cw_log_map_page_of(page) -
						   cw_log_map_page_of(record->page)];
		struct log_entry entry;

		if (!map)
			continue;
		cw_log_entry_decode(map->entry[page % CW_LOG_FANOUT], &entry);
		if (entry.state == CW_LOG_DATA && entry.sector == sector)
			live |= 1u << i;
	}
	return live & record->data_mask;
}

/* Keeps only the pages of mask, at the front, of all that the record holds. */
static u32 keep_pages(u8 *pages, u16 all, u16 mask)
{
	u32 from = 0, to = 0, i;

	for (i = 0; i < CW_LOG_EXTENT_PAGES; i++) {
		if (!(all & (1u << i)))
			continue;
		if (mask & (1u << i))
			memmove(pages + to++ * CW_PAGE_SIZE,
				pages + from * CW_PAGE_SIZE, CW_PAGE_SIZE);
		from++;
	}
	return to;
}

/* The record's bytes into ws->stored, unchanged or without the dead pages. */
static int copy_record(struct cw_log *log, struct cw_workspace *ws,
		       const u8 *buf, struct log_record *record, u16 live)
{
	u32 at = cw_log_payload_at(record);
	u32 stored_pages = cw_popcount(record->data_mask);

	if (live == record->data_mask) {
		memcpy(ws->stored, buf, at + record->stored);
		cw_log_record_encode(ws->stored, record);
		return 0;
	}
	if (cw_workspace_decompress(&log->meta_workspaces, ws, record->codec,
				    ws->plain, stored_pages * CW_PAGE_SIZE,
				    buf + at, record->stored))
		return DAMAGED;
	stored_pages = keep_pages(ws->plain, record->data_mask, live);
	record->data_mask = live;
	cw_log_record_fill(log->codec, ws, ws->plain, stored_pages, record);
	return 0;
}

/* Appends the live pages of the record at sector; buf holds the record. */
static int append_move(struct cw_log *log, struct log_append *append,
		       u64 sector, const u8 *buf, u16 live)
{
	struct log_record *record = &append->record;
	struct cw_workspace *ws;
	int err;

	if (cw_log_record_check(buf, record))
		return DAMAGED;
	record->type = CW_LOG_MOVE;
	record->zero_mask = 0;
	record->from = sector;
	record->next_gen = record->gen; /* for a rebuild of the map */
	ws = cw_workspace_get(&log->meta_workspaces);
	err = copy_record(log, ws, buf, record, live);
	if (!err)
		err = cw_log_append(log, append, ws->stored);
	cw_workspace_put(&log->meta_workspaces, ws);
	return err;
}

/* Room for two more dirty map pages. */
static int keep_room(struct cw_log *log)
{
	int err = 0;

	while (!err && !cw_log_reserve_dirty(log, true))
		err = cw_log_checkpoint(log);
	return err;
}

/* Moves the live pages of the record at sector; buf holds the record. */
static int move_record(struct cw_log *log, u64 sector, const u8 *buf,
		       const struct log_record *record)
{
	struct log_append append = {
		.record = *record,
		.purpose = LOG_FOR_SPACE,
	};
	u16 live;
	int err;

	if (cw_outside(record->page, record->pages, log->pages))
		return DAMAGED;
	err = keep_room(log);
	if (err)
		return err;
	err = cw_log_get_map_pages(log, &append, false);
	if (err) {
		cw_log_give_up_room(log);
		return err == -EIO ? DAMAGED : err;
	}
	cw_mutex_lock(&log->lock);
	live = live_pages(&append, sector);
	cw_mutex_unlock(&log->lock);
	if (live)
		err = append_move(log, &append, sector, buf, live);
	cw_log_finish(log, &append);
	return err;
}

static void mark_bad(struct cw_log *log, u32 n)
{
	cw_mutex_lock(&log->lock);
	log->segments[n].bad = true;
	cw_mutex_unlock(&log->lock);
	cw_log_bad("%s: segment %u has a damaged record and is not cleaned any more",
		   log->io->name, n);
}

static int clean_segment(struct cw_log *log, u32 n)
{
	u64 first = cw_log_first_sector(n);
	u64 gen = look_at(log, n).gen;
	struct log_record record;
	u32 sector = 0, left;
	int err;

	err = cw_pread(log->io, log->clean_buf, CW_LOG_SEGMENT_LEN,
		       cw_log_sector_offset(first));
	if (err == -EIO)
		err = DAMAGED;
	while (!err && sector < CW_LOG_SEGMENT_SECTORS) {
		const u8 *buf = log->clean_buf + sector * CW_SECTOR_SIZE;

		left = CW_LOG_SEGMENT_SECTORS - sector;
		if (cw_log_record_decode(buf, left * CW_SECTOR_SIZE, &record) ||
		    record.gen != gen || record.sectors > left)
			break;
		if (record.data_mask && (record.type == CW_LOG_WRITE ||
					 record.type == CW_LOG_MOVE))
			err = move_record(log, first + sector, buf, &record);
		sector += record.sectors;
	}
	if (err && err != DAMAGED)
		return err;
	/*
	 * All readable pages were moved; a live page that is left could not be
	 * read.
	 */
	if (err || look_at(log, n).live)
		mark_bad(log, n);
	return 0;
}

/* The segment with the fewest live shares, or CW_LOG_NO_SEGMENT. */
static u32 choose_victim(struct cw_log *log, u32 max_shares)
{
	u32 best = CW_LOG_NO_SEGMENT;
	u64 oldest_gen;
	u32 n;

	cw_mutex_lock(&log->lock);
	oldest_gen = cw_log_oldest_gen(log);
	for (n = 0; n < log->nr_segments; n++) {
		const struct log_segment *segment = &log->segments[n];

		if (!is_cleanable(segment, oldest_gen) ||
		    segment->live > max_shares)
			continue;
		if (best == CW_LOG_NO_SEGMENT ||
		    segment->live < log->segments[best].live)
			best = n;
	}
	cw_mutex_unlock(&log->lock);
	return best;
}

/*
 * Is there a segment to move the victim to? For the first victim there must be
 * a whole one. Otherwise its copy might use up the last place and free nothing.
 */
static bool can_clean(struct cw_log *log, u32 victim, bool first)
{
	u32 needed;
	bool can;

	cw_mutex_lock(&log->lock);
	can = log->nr_free > cw_log_reserve(log, LOG_FOR_SPACE);
	needed = log->segments[victim].live / CW_LOG_EXTENT_PAGES +
		 LOG_RECORD_ROOM / CW_SECTOR_SIZE;
	if (!can && !first)
		can = log->sector + needed <= cw_log_fill_end(log);
	else if (!can && cw_log_may_take(log, LOG_FOR_SPACE))
		can = !cw_log_open_segment(log, LOG_FOR_SPACE);
	cw_mutex_unlock(&log->lock);
	return can;
}

/* Cleans victims until enough is won; returns how many, or -errno. */
static int clean_some(struct cw_log *log, u32 max_shares)
{
	u32 won = 0, cleaned = 0;

	while (won < CLEAN_GOAL * LOG_SHARES && cleaned < CLEAN_BATCH) {
		u32 n = choose_victim(log, max_shares);
		int err;

		if (n == CW_LOG_NO_SEGMENT || !can_clean(log, n, !cleaned))
			break;
		won += LOG_SHARES - look_at(log, n).live;
		err = clean_segment(log, n);
		if (err)
			return err == -EAGAIN ? (int)cleaned : err;
		cleaned++;
	}
	return cleaned;
}

/* With lock held. Takes a free segment's space away before the punch. */
static bool take_for_punching(struct cw_log *log, u32 n, u32 keep)
{
	struct log_segment *segment = &log->segments[n];

	if (segment->state != SEGMENT_FREE || segment->pins || segment->bad ||
	    (!segment->backed && !segment->held) ||
	    (segment->backed && log->nr_free <= keep))
		return false;
	log->nr_free -= segment->backed;
	segment->backed = false;
	segment->held = false;
	log->unbacked_from = cw_min(log->unbacked_from, n);
	cw_log_segment_changed(log, n);
	return true;
}

/* The next segments to punch before *end, side by side. Returns how many. */
static u32 find_for_punching(struct cw_log *log, u32 *end, u32 keep, u32 most)
{
	u32 count = 0;

	cw_mutex_lock(&log->lock);
	*end = cw_min(*end, log->nr_segments);
	while (*end && !count) {
		--*end;
		count = take_for_punching(log, *end, keep);
	}
	while (*end && count && count < most &&
	       take_for_punching(log, *end - 1, keep)) {
		--*end;
		count++;
	}
	cw_mutex_unlock(&log->lock);
	return count;
}

/*
 * Punches up to most free segments before *end, which becomes the first of them.
 * False: none was left, or the medium cannot punch. With maint held.
 */
static bool punch_next(struct cw_log *log, u32 *end, u32 keep, u32 most)
{
	u32 count = find_for_punching(log, end, keep, most);
	u32 i;

	if (!count)
		return false;
	if (!cw_punch(log->io, cw_log_sector_offset(cw_log_first_sector(*end)),
		      (u64)count << CW_LOG_SEGMENT_SHIFT))
		return true;
	/* A later user of these segments allocates them again. */
	cw_mutex_lock(&log->lock);
	for (i = *end; i < *end + count; i++)
		log->segments[i].held = true;
	cw_mutex_unlock(&log->lock);
	return false;
}

/*
 * Punches from the end, so that used segments stay near the beginning. With
 * maint held.
 */
static void punch_free(struct cw_log *log, u32 keep)
{
	u32 end = LOG_MAX_SEGMENTS;

	while (punch_next(log, &end, keep, PUNCH_MAX))
		;
}

/* ---- policy ---- */

static bool has_room(struct cw_log *log, enum log_purpose purpose)
{
	bool room;

	cw_mutex_lock(&log->lock);
	room = cw_log_may_take(log, purpose);
	cw_mutex_unlock(&log->lock);
	return room;
}

bool cw_log_has_begun(struct cw_log *log)
{
	bool begun;

	cw_mutex_lock(&log->lock);
	begun = log->begun;
	cw_mutex_unlock(&log->lock);
	return begun;
}

/*
 * Cleans and makes the result usable. -ENOSPC: nothing was won. Each cleaned
 * segment frees its dead part, an eighth or more, if only a part of a segment.
 * So this cannot go on for ever.
 */
static int regain(struct cw_log *log)
{
	struct outlook before = look(log), now;
	bool won = count_dead(log) || clean_some(log, CLEAN_MAX_SHARES) > 0;
	/* The checkpoint also frees the map's dead pages. */
	int err = cw_log_checkpoint(log);

	if (err)
		return err;
	now = look(log);
	/* Free segments that are not reserved for checkpoints: more of them? */
	won = won || (s64)now.free - now.meta_reserve >
			     (s64)before.free - before.meta_reserve;
	return won ? 0 : -ENOSPC;
}

/*
 * One step towards room. An error of the medium and a lack of memory are no
 * lack of room: the caller gets them.
 */
static int make_some_room(struct cw_log *log)
{
	struct outlook now = look(log);
	int err, grown;

	if (now.failed)
		return now.failed;
	if (now.used + now.free < bound(&now, GROW_EXTRA) && !grow(log, cw_try_alloc))
		return 0;
	err = regain(log);
	if (!err)
		return 0;
	grown = grow(log, cw_need_alloc);
	return grown == -ENOSPC ? err : grown;
}

/* Records on their way in a broken log must end before the log begins anew. */
static void wait_for_broken(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	while (log->first || log->preparing)
		cw_cond_wait(&log->changed, &log->lock);
	log->broken = 0;
	cw_mutex_unlock(&log->lock);
}

/*
 * Begins the log before the first record: opens a segment of its own, and
 * writes a checkpoint for the recovered state that leads there. So the log
 * never takes half-written records behind its old end for its own. The
 * generations used here are not durable yet. Until they are, only the mark that
 * begins the segment is written with them.
 */
static int begin(struct cw_log *log)
{
	int err = look(log).failed;

	wait_for_broken(log);
	while (!err && !has_room(log, LOG_FOR_BEGIN))
		err = grow(log, cw_need_alloc);
	cw_mutex_lock(&log->lock);
	log->gen_limit = log->next_gen + LOG_GEN_STEP;
	cw_mutex_unlock(&log->lock);
	/* Without a log, recovery needs only the map. */
	if (err == -ENOSPC && count_dead(log))
		err = cw_log_checkpoint(log);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	if (log->segment == CW_LOG_NO_SEGMENT)
		err = cw_log_open_segment(log, LOG_FOR_BEGIN);
	cw_mutex_unlock(&log->lock);
	if (!err)
		err = cw_log_checkpoint(log);
	if (err)
		return err == -EAGAIN ? -ENOSPC : err;
	cw_mutex_lock(&log->lock);
	log->begun = true;
	log->may_return = false;
	cw_mutex_unlock(&log->lock);
	return 0;
}

int cw_log_make_room(struct cw_log *log, enum log_purpose purpose)
{
	int err = 0;

	cw_mutex_lock(&log->lock);
	log->nr_making_room++;
	cw_mutex_unlock(&log->lock);
	cw_mutex_lock(&log->maint);
	if (!cw_log_has_begun(log))
		err = begin(log);
	else if (look(log).out_of_generations)
		err = cw_log_checkpoint(log);
	while (!err && purpose != LOG_FOR_BEGIN && !has_room(log, purpose))
		err = make_some_room(log);
	cw_mutex_lock(&log->lock);
	log->full = err == -ENOSPC;
	log->stuck = log->full ? 0 : err;
	log->nr_making_room--;
	cw_cond_broadcast(&log->changed);
	cw_mutex_unlock(&log->lock);
	cw_mutex_unlock(&log->maint);
	return err;
}

/* A full log takes the space that there is, as a writer would, and no more. */
static void look_for_room(struct cw_log *log)
{
	int err = 0;

	if (!cw_log_has_begun(log))
		err = begin(log);
	while (!err && !has_room(log, LOG_FOR_DATA))
		err = grow(log, cw_try_alloc); /* or the next time */
	if (err)
		return;
	cw_mutex_lock(&log->lock);
	log->full = false;
	cw_mutex_unlock(&log->lock);
}

void cw_log_tend(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;
	struct outlook now;

	/* The holder of maint makes room, or a later tend looks again. */
	if (!cw_mutex_trylock(&log->maint))
		return;
	now = look(log);
	if (now.full && !now.failed)
		look_for_room(log);
	now = look(log);
	if (now.used + now.free > now.most)
		punch_free(log, now.most - cw_min(now.most, now.used));
	cw_mutex_unlock(&log->maint);
}

/*
 * Free segments that stay allocated. While the log is in use, the next checkpoint
 * must find a place; after a discard, and within the bound, more are worth it.
 */
static u32 count_to_keep(struct cw_log *log, enum log_reclaim how)
{
	struct outlook now = look(log);

	if (how == LOG_RECLAIM_DUE)
		return now.reserve + KEEP_FREE;
	return how == LOG_RECLAIM_ALL ? now.meta_reserve : 0;
}

static u32 count_within_bound(struct cw_log *log)
{
	struct outlook now = look(log);
	u32 most = bound(&now, GROW_EXTRA);

	return cw_max(now.reserve + KEEP_FREE, most - cw_min(most, now.used));
}

/* A writer that makes room comes first. */
static void wait_for_writers(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	while (log->nr_making_room)
		cw_cond_wait(&log->changed, &log->lock);
	cw_mutex_unlock(&log->lock);
}

/*
 * Writers may go on, because a segment is not handed out again while it is
 * punched. It loses its backing under lock before the punch, and only segments
 * with backing are taken. Growth alone gives it backing again. That needs maint,
 * which each step holds.
 *
 * A log that has begun again keeps what its next writes take.
 */
void cw_log_give_back(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;
	u32 end = LOG_MAX_SEGMENTS;
	bool more;
	u32 keep;

	do {
		wait_for_writers(log);
		cw_mutex_lock(&log->maint);
		keep = cw_log_has_begun(log) ? count_within_bound(log) : 0;
		more = punch_next(log, &end, keep, GIVE_BACK_STEP);
		cw_mutex_unlock(&log->maint);
	} while (more);
}

void cw_log_checkpoint_if_due(struct cw_log *log)
{
	bool due;

	cw_mutex_lock(&log->lock);
	due = log->begun && (log->appended_sectors >= LOG_CHECKPOINT_SECTORS ||
			     log->dirty_pages >= LOG_DIRTY_MAX / 2);
	cw_mutex_unlock(&log->lock);
	if (!due || !cw_mutex_trylock(&log->maint))
		return;
	/*
	 * The record is in the log all the same. A caller that needs the
	 * checkpoint gets its error.
	 */
	if (!cw_log_checkpoint(log))
		punch_free(log, count_within_bound(log));
	cw_mutex_unlock(&log->maint);
}

static bool is_bloated(struct cw_log *log, u32 extra)
{
	struct outlook now = look(log);

	return now.used > bound(&now, extra);
}

int cw_log_reclaim(struct cw_log *log, enum log_reclaim how)
{
	bool all = how != LOG_RECLAIM_DUE;
	bool due, tidy;
	int err = 0;

	cw_mutex_lock(&log->maint);
	if (!cw_log_has_begun(log)) {
		cw_mutex_unlock(&log->maint);
		return 0;
	}
	cw_mutex_lock(&log->lock);
	due = all || log->nr_empty >= RECLAIM_DEAD;
	cw_mutex_unlock(&log->lock);
	due = due && (all || count_dead(log) >= RECLAIM_DEAD);
	if (due)
		err = cw_log_checkpoint(log);
	/* Then down to a lower bound, so that not every discard cleans. */
	tidy = due || is_bloated(log, GROW_EXTRA);
	while (!err && tidy && is_bloated(log, TIDY_EXTRA) &&
	       clean_some(log, LOG_SHARES / 2) > 0)
		err = cw_log_checkpoint(log);
	if (!err)
		punch_free(log, count_to_keep(log, how));
	cw_mutex_unlock(&log->maint);
	return err;
}
