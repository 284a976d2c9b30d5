// SPDX-License-Identifier: GPL-2.0
/*
 * Room: growing the file, taking back segments that are dead, cleaning those
 * that are mostly dead, giving free ones back to the file system.
 *
 * There is no thread for it. Who finds no free segment makes room and the
 * others wait for it, which also slows writers down to what cleaning can do.
 */
#include "log.h"

/*
 * Segments beyond what lives in them that the file may have before cleaning
 * is tried: live * 1.25 + 6. Leaves the cleaner victims that are at most 80 %
 * full on average, and the file within 1.5 times what lives plus 8 MiB.
 */
#define GROW_NUM 5u
#define GROW_DEN 4u
#define GROW_EXTRA 6u
/* Victims above this are not worth their copy: nothing would be won. */
#define CLEAN_MAX_SHARES (LOG_SHARES / 8 * 7)
#define CLEAN_BATCH 16u /* victims at a time, or segments won: */
#define CLEAN_GOAL 4u
/* Dead segments that are worth a checkpoint by themselves. */
#define RECLAIM_DEAD 4u
/* Free segments that stay allocated, for the next writes. */
#define KEEP_FREE 4u
/* The longest record of a map page: header and 4096 bytes. */
#define META_SECTORS 9u

u32 cw_log_reserve(struct cw_log *log)
{
	u32 dirs = cw_div_up(log->map_pages, CW_LOG_FANOUT);
	u32 pages = log->dirty_pages + log->reserved_pages +
		    cw_min(dirs, log->dirty_pages + log->reserved_pages) +
		    2 * cw_div_up(log->nr_segments, CW_LOG_FANOUT) + 4;

	/* One for the cleaner, one for discards, the rest for a checkpoint. */
	return 2 + cw_div_up(pages * META_SECTORS, CW_LOG_SEGMENT_SECTORS - META_SECTORS);
}

static u32 live_segments(struct cw_log *log)
{
	return cw_div_up(log->live, LOG_SHARES);
}

/* With lock held. */
static bool is_within_bound(struct cw_log *log, u32 nr)
{
	return nr <= live_segments(log) * GROW_NUM / GROW_DEN + GROW_EXTRA;
}

static bool is_cleanable(struct cw_log *log, u32 n)
{
	const struct log_segment *segment = &log->segments[n];

	return segment->state == SEGMENT_DATA && n != log->segment &&
	       !segment->bad && segment->live;
}

static u32 count_dead(struct cw_log *log)
{
	u32 n, dead = 0;

	cw_mutex_lock(&log->lock);
	for (n = 0; n < log->nr_segments; n++)
		dead += log->segments[n].state == SEGMENT_DATA &&
			n != log->segment && !log->segments[n].live &&
			!log->segments[n].bad;
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
	u64 off = log_sector_offset(log_first_sector(n));
	int err = cw_allocate(log->io, off, CW_LOG_SEGMENT_LEN);

	if (err != -EOPNOTSUPP)
		return err;
	memset(log->clean_buf, 0, CW_LOG_SEGMENT_LEN);
	return cw_pwrite(log->io, log->clean_buf, CW_LOG_SEGMENT_LEN, off);
}

/* Allocates the space of a free segment that has none, or of a new one. */
static int grow(struct cw_log *log)
{
	u32 n;
	int err = 0;

	cw_mutex_lock(&log->lock);
	for (n = 0; n < log->nr_segments; n++)
		if (log->segments[n].state == SEGMENT_FREE &&
		    !log->segments[n].backed && !log->segments[n].bad)
			break;
	if (n >= log->max_segments)
		err = -ENOSPC;
	if (!err && n == log->nr_segments)
		err = cw_log_segments_grow(log, n + 1);
	cw_mutex_unlock(&log->lock);
	if (!err)
		err = cw_log_snapshot_room(log);
	if (!err)
		err = allocate_segment(log, n);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	log->segments[n].backed = true;
	if (!log->segments[n].pins)
		log->nr_free++;
	cw_mutex_unlock(&log->lock);
	return 0;
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

/* Takes the pages of mask out of all that the record holds, to the front. */
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

/* The record's bytes into ws->stored: as they are, or without the dead pages. */
static int copy_record(struct cw_log *log, struct cw_workspace *ws,
		       const u8 *buf, struct log_record *record, u16 live)
{
	u32 at = cw_log_payload_at(record);
	u32 stored_pages = __builtin_popcount(record->data_mask);
	int err;

	if (live == record->data_mask) {
		memcpy(ws->stored, buf, at + record->stored);
		cw_log_record_encode(ws->stored, record);
		return 0;
	}
	err = cw_workspace_decompress(&log->meta_workspaces, ws, record->codec,
				      ws->plain, stored_pages * CW_PAGE_SIZE,
				      buf + at, record->stored);
	if (err)
		return err;
	stored_pages = keep_pages(ws->plain, record->data_mask, live);
	record->data_mask = live;
	cw_log_fill_record(log, ws, ws->plain, stored_pages, record);
	return 0;
}

/* Moves what lives of the record at sector; buf holds the record. */
static int move_record(struct cw_log *log, u64 sector, const u8 *buf,
		       const struct log_record *record)
{
	struct log_append append = { .record = *record, .reserve = true };
	struct cw_workspace *ws;
	u16 live;
	int err;

	if (cw_outside(record->page, record->pages, log->pages))
		return -EIO;
	err = cw_log_prepare(log, &append, false, true);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	live = live_pages(&append, sector);
	cw_mutex_unlock(&log->lock);
	if (!live)
		goto finish;
	err = cw_log_record_check(buf, record);
	if (err)
		goto finish;
	append.record.type = CW_LOG_MOVE;
	append.record.zero_mask = 0;
	append.record.from = sector;
	ws = cw_workspace_get(&log->meta_workspaces);
	err = copy_record(log, ws, buf, &append.record, live);
	if (!err)
		err = cw_log_append(log, &append, ws->stored);
	cw_workspace_put(&log->meta_workspaces, ws);
finish:
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
	u64 first = log_first_sector(n);
	u64 gen = look_at(log, n).gen;
	struct log_record record;
	u32 sector = 0, left;
	int err;

	err = cw_pread(log->io, log->clean_buf, CW_LOG_SEGMENT_LEN,
		       log_sector_offset(first));
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
	if (err && err != -EIO)
		return err;
	/* All that lived was moved; what is left could not be read. */
	if (err || look_at(log, n).live)
		mark_bad(log, n);
	return 0;
}

/* The segment with least in it, or CW_LOG_NO_SEGMENT. */
static u32 choose_victim(struct cw_log *log, u32 max_shares)
{
	u32 best = CW_LOG_NO_SEGMENT;
	u32 n;

	cw_mutex_lock(&log->lock);
	for (n = 0; n < log->nr_segments; n++) {
		if (!is_cleanable(log, n) ||
		    log->segments[n].live > max_shares)
			continue;
		if (best == CW_LOG_NO_SEGMENT ||
		    log->segments[n].live < log->segments[best].live)
			best = n;
	}
	cw_mutex_unlock(&log->lock);
	return best;
}

/* Cleans victims until enough is won; returns how many, or -errno. */
static int clean_some(struct cw_log *log, u32 max_shares)
{
	u32 won = 0, cleaned = 0;

	while (won < CLEAN_GOAL * LOG_SHARES && cleaned < CLEAN_BATCH) {
		u32 n = choose_victim(log, max_shares);
		int err;

		if (n == CW_LOG_NO_SEGMENT)
			break;
		won += LOG_SHARES - look_at(log, n).live;
		err = clean_segment(log, n);
		if (err)
			return err == -EAGAIN ? (int)cleaned : err;
		cleaned++;
	}
	return cleaned;
}

/*
 * Map pages are cleaned by writing them anew: what lives in the emptiest of
 * their segments is marked as changed, and the next checkpoint moves it.
 */
static int touch_meta(struct cw_log *log, u32 victim)
{
	u32 n, i;

	for (n = 0; n < log->map_pages; n++) {
		struct log_append append = {
			.record.page = (u64)n * CW_LOG_FANOUT,
			.record.pages = 1,
		};
		bool enough;
		int err;

		/* Only checkpoints change map_at; maint keeps them away. */
		if (!log->map_at[n] || log_home(log->map_at[n]) != victim)
			continue;
		cw_mutex_lock(&log->lock);
		enough = log->dirty_pages > LOG_DIRTY_MAX / 2;
		cw_mutex_unlock(&log->lock);
		if (enough)
			return 0; /* the rest next time */
		err = cw_log_prepare(log, &append, false, true);
		if (err)
			return err;
		cw_mutex_lock(&log->lock);
		if (append.map[0])
			cw_log_map_dirty(log, append.map[0]);
		cw_mutex_unlock(&log->lock);
		cw_log_finish(log, &append);
	}
	for (i = 0; i < log->map_dirs; i++)
		if (log->map_dir_at[i] &&
		    log_home(log->map_dir_at[i]) == victim)
			log->map_dir_changed[i] = true;
	for (i = 0; i < cw_div_up(log->map_dirs, CW_LOG_FANOUT); i++)
		log->map_root_changed[i] = true;
	for (i = 0; i < cw_div_up(log->nr_segments, CW_LOG_FANOUT); i++)
		log->usage_changed[i] = true;
	return 0;
}

/* The emptiest of the map's segments, if they hold twice what they need. */
static u32 choose_meta_victim(struct cw_log *log)
{
	u32 n, used = 0, best = CW_LOG_NO_SEGMENT;
	u64 live = 0;

	cw_mutex_lock(&log->lock);
	for (n = 0; n < log->nr_segments; n++) {
		const struct log_segment *segment = &log->segments[n];

		if (segment->state != SEGMENT_META || n == log->meta_segment)
			continue;
		used++;
		live += segment->live;
		if (best == CW_LOG_NO_SEGMENT ||
		    segment->live < log->segments[best].live)
			best = n;
	}
	cw_mutex_unlock(&log->lock);
	if (used < 2 || used * (u64)LOG_SHARES < 2 * live)
		return CW_LOG_NO_SEGMENT;
	return best;
}

static int clean_meta(struct cw_log *log)
{
	u32 victim = choose_meta_victim(log);

	return victim == CW_LOG_NO_SEGMENT ? 0 : touch_meta(log, victim);
}

static void punch_free(struct cw_log *log, u32 keep)
{
	u32 n = 0;
	int err = 0;

	while (!err) {
		cw_mutex_lock(&log->lock);
		/* From the end: what is used stays near the beginning. */
		n = log->nr_free > keep ? log->nr_segments : 0;
		while (n-- && (log->segments[n].state != SEGMENT_FREE ||
			       !log->segments[n].backed ||
			       log->segments[n].pins || log->segments[n].bad))
			;
		if (n != CW_LOG_NO_SEGMENT) {
			log->segments[n].backed = false;
			log->nr_free--;
		}
		cw_mutex_unlock(&log->lock);
		if (n == CW_LOG_NO_SEGMENT)
			return;
		err = cw_punch(log->io, log_sector_offset(log_first_sector(n)),
			       CW_LOG_SEGMENT_LEN);
	}
	/* The medium cannot: keep the segment for the next writes. */
	cw_mutex_lock(&log->lock);
	log->segments[n].backed = true;
	log->nr_free++;
	cw_mutex_unlock(&log->lock);
}

/* ---- policy ---- */

static bool has_room(struct cw_log *log, bool reserve)
{
	bool room;

	cw_mutex_lock(&log->lock);
	room = log->nr_free > (reserve ? 0 : cw_log_reserve(log));
	cw_mutex_unlock(&log->lock);
	return room;
}

/* Only a checkpoint allows more generations to be handed out. */
static bool needs_generations(struct cw_log *log)
{
	bool needs;

	cw_mutex_lock(&log->lock);
	needs = log->next_gen >= log->gen_limit;
	cw_mutex_unlock(&log->lock);
	return needs;
}

static bool may_grow_freely(struct cw_log *log)
{
	bool may;

	cw_mutex_lock(&log->lock);
	may = is_within_bound(log, log->nr_used + log->nr_free + 1);
	cw_mutex_unlock(&log->lock);
	return may;
}

static u32 count_free(struct cw_log *log)
{
	u32 nr;

	cw_mutex_lock(&log->lock);
	nr = log->nr_free;
	cw_mutex_unlock(&log->lock);
	return nr;
}

static int is_failed(struct cw_log *log)
{
	int err;

	cw_mutex_lock(&log->lock);
	err = log->failed;
	cw_mutex_unlock(&log->lock);
	return err;
}

/* Cleans and makes the result usable; true when something was won. */
static bool regain(struct cw_log *log)
{
	u32 before = count_free(log);

	if (!count_dead(log) && clean_some(log, CLEAN_MAX_SHARES) <= 0)
		return false;
	if (clean_meta(log) || cw_log_checkpoint(log))
		return false;
	return count_free(log) > before;
}

/* One step towards room. */
static int make_some_room(struct cw_log *log)
{
	int err = is_failed(log);

	if (err)
		return err;
	if (may_grow_freely(log) && !grow(log))
		return 0;
	if ((log->begun && regain(log)) || !grow(log))
		return 0;
	return -ENOSPC;
}

/*
 * Before the first record: a segment of its own for the log, and a checkpoint
 * that says that what was recovered is what counts and that the log goes on
 * there. So nothing that the last user may have left half written behind the
 * log's end is ever taken for a part of it. The generations used here are not
 * durable yet; until they are, nothing but the mark that begins the segment is
 * written with them.
 */
static int begin(struct cw_log *log)
{
	int err;

	cw_mutex_lock(&log->lock);
	log->gen_limit = log->next_gen + LOG_GEN_STEP;
	err = cw_log_open_segment(log, true);
	cw_mutex_unlock(&log->lock);
	if (!err)
		err = cw_log_checkpoint(log);
	if (err)
		return err == -EAGAIN ? -ENOSPC : err;
	cw_mutex_lock(&log->lock);
	log->begun = true;
	cw_mutex_unlock(&log->lock);
	return 0;
}

int cw_log_make_room(struct cw_log *log, bool reserve)
{
	int err = 0;

	cw_mutex_lock(&log->maint);
	if (log->begun && needs_generations(log))
		err = cw_log_checkpoint(log);
	while (!err && !has_room(log, reserve && log->begun))
		err = make_some_room(log);
	if (!err && !log->begun)
		err = begin(log);
	cw_mutex_lock(&log->lock);
	log->full = err == -ENOSPC;
	cw_mutex_unlock(&log->lock);
	cw_mutex_unlock(&log->maint);
	return err;
}

void cw_log_checkpoint_if_due(struct cw_log *log)
{
	bool due;

	cw_mutex_lock(&log->lock);
	due = log->appended_sectors >= LOG_CHECKPOINT_SECTORS ||
	      log->dirty_pages >= LOG_DIRTY_MAX / 2;
	cw_mutex_unlock(&log->lock);
	if (!due || !cw_mutex_trylock(&log->maint))
		return;
	/*
	 * What was written is in the log all the same; whoever needs the
	 * checkpoint to go on gets its error.
	 */
	cw_log_checkpoint(log);
	cw_mutex_unlock(&log->maint);
}

static bool is_bloated(struct cw_log *log)
{
	bool bloated;

	cw_mutex_lock(&log->lock);
	bloated = !is_within_bound(log, log->nr_used);
	cw_mutex_unlock(&log->lock);
	return bloated;
}

static u32 keep_after_reclaim(struct cw_log *log)
{
	u32 keep;

	cw_mutex_lock(&log->lock);
	keep = cw_log_reserve(log) + KEEP_FREE;
	cw_mutex_unlock(&log->lock);
	return keep;
}

int cw_log_reclaim(struct cw_log *log, bool all)
{
	int err = 0;

	cw_mutex_lock(&log->maint);
	if (all || count_dead(log) >= RECLAIM_DEAD)
		err = cw_log_checkpoint(log);
	while (!err && is_bloated(log) && has_room(log, true) &&
	       clean_some(log, LOG_SHARES / 2) > 0)
		err = cw_log_checkpoint(log);
	if (!err)
		punch_free(log, all ? 0 : keep_after_reclaim(log));
	cw_mutex_unlock(&log->maint);
	return err;
}
