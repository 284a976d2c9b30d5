// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints make the map durable.
 *
 *   1. Snapshot, under lock: the dirty map pages, the usage of the segments,
 *      and the place in the log up to which they know it.
 *   2. The pages are written to free space, and the pages that refer to them.
 *   3. Flush: pages, and all records the pages refer to, are durable.
 *   4. The superblock copy that is not in use is written with the new roots.
 *   5. Flush: from here on recovery begins with this checkpoint.
 *   6. Only now the log frees what the previous checkpoint needed.
 *
 * A crash before 5 leaves the previous checkpoint and all it refers to, because
 * nothing of that is overwritten before 6.
 */
#include "log.h"

/*
 * The shares of the map pages that cleaning moves; each is at least a sector.
 */
#define TOUCH_SHARES (LOG_DIRTY_MAX / 4 * CW_LOG_EXTENT_PAGES)

/* ---- before a checkpoint: keeping the map's segments few ---- */

/* False when the checkpoint would become too large. */
static bool touch_page(struct cw_log *log, struct log_page *page)
{
	bool may;

	cw_mutex_lock(&log->lock);
	may = log->dirty_pages + log->reserved_pages < LOG_DIRTY_MAX / 2 &&
	      cw_log_checkpoint_need(log, 1) <= log->nr_free;
	if (may)
		cw_log_map_dirty(log, page);
	cw_mutex_unlock(&log->lock);
	cw_log_map_put(log, page);
	return may;
}

static bool is_victim(const struct cw_log *log, u64 word)
{
	return word && log->segments[cw_log_home(word)].victim;
}

static int touch_map_pages(struct cw_log *log)
{
	struct log_page *page;
	u32 n;
	int err;

	for (n = 0; n < log->map_pages; n++) {
		/* Only checkpoints change map_at; maint keeps them away. */
		if (!is_victim(log, log->map_at[n]))
			continue;
		err = cw_log_map_get(log, n, false, &page);
		if (err == -EIO) /* it stays where it is */
			log->segments[cw_log_home(log->map_at[n])].victim = false;
		if (err && err != -EIO)
			return err;
		if (!err && page && !touch_page(log, page))
			return 0; /* the rest next time */
	}
	return 0;
}

static void touch_array(const struct cw_log *log, const u64 *at, u32 nr,
			bool *changed)
{
	u32 i, touched = 0;

	for (i = 0; i < nr && touched < LOG_TOUCH_MAX; i++) {
		if (!is_victim(log, at[i]))
			continue;
		changed[i] = true;
		touched++;
	}
}

/* The emptiest of the map's segments that is no victim yet; lock is held. */
static struct log_segment *next_meta_victim(struct cw_log *log)
{
	struct log_segment *best = NULL;
	u32 n;

	for (n = 0; n < log->nr_segments; n++) {
		struct log_segment *segment = &log->segments[n];

		if (segment->state != SEGMENT_META || segment->victim ||
		    n == log->meta_segment)
			continue;
		if (!best || segment->live < best->live)
			best = segment;
	}
	return best;
}

/*
 * Chooses so many victims that the map's segments become twice its live data,
 * at most as many as one checkpoint can empty. Half a victim would free
 * nothing.
 */
static u32 choose_meta_victims(struct cw_log *log)
{
	struct log_segment *victim;
	u32 n, open, most, chosen = 0, shares = 0;

	cw_mutex_lock(&log->lock);
	for (n = 0; n < log->nr_segments; n++)
		log->segments[n].victim = false;
	open = log->meta_segment != CW_LOG_NO_SEGMENT;
	most = 2 * log->meta_live / LOG_SHARES;
	while (log->nr_meta - open - chosen > most) {
		victim = next_meta_victim(log);
		if (!victim)
			break;
		shares += victim->live;
		if (chosen && shares > TOUCH_SHARES)
			break;
		victim->victim = true;
		chosen++;
	}
	cw_mutex_unlock(&log->lock);
	return chosen;
}

/*
 * Cleans map pages by writing them anew. It marks the live pages of the map's
 * emptiest segments as changed, and the checkpoint moves them.
 */
static int clean_meta(struct cw_log *log)
{
	if (!choose_meta_victims(log))
		return 0;
	touch_array(log, log->map_dir_at, log->map_dirs, log->map_dir_changed);
	touch_array(log, log->map_root_at, CW_LOG_MAP_ROOTS,
		    log->map_root_changed);
	touch_array(log, log->usage_at, LOG_USAGE_PAGES, log->usage_changed);
	touch_array(log, log->usage_dir_at, CW_LOG_USAGE_ROOTS,
		    log->usage_dir_changed);
	return touch_map_pages(log);
}

/* ---- 1. snapshot; with lock held ---- */

static void snapshot_pages(struct cw_log *log, struct log_snapshot *snap)
{
	struct log_page *page;
	u32 i;

	snap->nr_pages = 0;
	for (i = 0; i < 1u << LOG_HASH_BITS; i++) {
		for (page = log->hash[i]; page; page = page->hash_next) {
			if (!page->dirty)
				continue;
			memcpy(snap->page[snap->nr_pages], page->entry,
			       sizeof(page->entry));
			snap->page_n[snap->nr_pages++] = page->n;
			page->dirty = false;
			page->saving = true;
		}
	}
}

static void snapshot_position(struct cw_log *log, struct log_snapshot *snap)
{
	const struct log_append *first = log->first;
	u64 sector = cw_log_first_sector(log->segment) + log->sector;

	snap->appended_sectors = log->appended_sectors;
	snap->plain_pages = log->plain_pages;
	snap->limit = log->limit;
	snap->log_segment = log->segment;
	snap->log_seq = log->next_seq;
	snap->log_sector = 0;
	snap->log_gen = 0;
	if (log->segment == CW_LOG_NO_SEGMENT)
		return;
	/*
	 * The map does not have records on their way, so begin with the first.
	 */
	if (first) {
		sector = first->sector;
		snap->log_seq = first->record.seq;
	}
	snap->log_segment = cw_log_segment_of(sector);
	snap->log_sector = sector % CW_LOG_SEGMENT_SECTORS;
	snap->log_gen = log->segments[snap->log_segment].gen;
}

/*
 * Only earlier checkpoints need a segment without live data before that place.
 */
static bool is_dying(const struct log_segment *segment, u64 oldest_gen)
{
	return segment->state == SEGMENT_DATA && !segment->live &&
	       !segment->bad && segment->gen < oldest_gen;
}

static u64 usage_of(const struct log_segment *segment)
{
	u64 live = CW_LOG_USAGE_HELD;

	if (segment->bad)
		live = CW_LOG_USAGE_BAD;
	else if (segment->state == SEGMENT_DATA && segment->live)
		live = segment->live;
	else if (segment->state == SEGMENT_FREE && !segment->backed &&
		 !segment->held)
		live = 0;
	return segment->gen << CW_LOG_USAGE_GEN_SHIFT | live;
}

static void snapshot_usage(struct cw_log *log, struct log_snapshot *snap)
{
	u64 oldest_gen = cw_log_oldest_gen(log);
	u32 n, i;

	snap->nr_segments = log->nr_segments;
	for (n = 0; n < log->nr_segments; n++) {
		struct log_segment *segment = &log->segments[n];

		snap->usage[n] = usage_of(segment);
		segment->changed = false;
		segment->dying = is_dying(segment, oldest_gen);
	}
	for (i = 0; i < cw_div_up(n, CW_LOG_FANOUT); i++)
		log->usage_changed[i] |= log->usage_touched[i];
	memset(snap->usage + n, 0, (snap->usage_room - n) * sizeof(u64));
}

/* ---- 2. writing pages; with maint held ---- */

/* Finds room for so many sectors among the map pages. */
static int place_meta(struct cw_log *log, u32 sectors, u64 *sector, u64 *gen)
{
	int err = 0;

	cw_mutex_lock(&log->lock);
	if (log->meta_segment == CW_LOG_NO_SEGMENT ||
	    log->meta_sector + sectors > CW_LOG_SEGMENT_SECTORS) {
		u32 next = cw_log_take_free_segment(log, SEGMENT_META);

		if (next == CW_LOG_NO_SEGMENT) {
			err = -ENOSPC;
		} else {
			log->meta_segment = next;
			log->meta_sector = 0;
		}
	}
	if (!err) {
		*sector = cw_log_first_sector(log->meta_segment) + log->meta_sector;
		*gen = log->segments[log->meta_segment].gen;
		log->meta_sector += sectors;
	}
	cw_mutex_unlock(&log->lock);
	return err;
}

static int write_meta(struct cw_log *log, enum cw_log_meta kind, u32 number,
		      const u64 *entries, u64 *word)
{
	struct cw_workspace *ws = cw_workspace_get(&log->meta_workspaces);
	struct cw_disk_log_page *page = (void *)ws->plain;
	struct log_record record = {
		.type = CW_LOG_META,
		.page = number,
		.pages = 1,
		.from = kind,
	};
	struct log_entry entry = { .pages = 1, .state = CW_LOG_DATA };
	u32 i;
	int err;

	for (i = 0; i < CW_LOG_FANOUT; i++)
		page->entry[i] = cw_to_le64(entries[i]);
	cw_log_record_fill(log->codec, ws, ws->plain, 1, &record);
	err = place_meta(log, record.sectors, &entry.sector, &record.gen);
	if (!err) {
		cw_log_record_encode(ws->stored, &record);
		err = cw_cow_pwrite(log->io, ws->stored,
				    record.sectors * CW_SECTOR_SIZE,
				    cw_log_sector_offset(entry.sector));
	}
	cw_workspace_put(&log->meta_workspaces, ws);
	entry.sectors = record.sectors;
	entry.codec = record.codec;
	*word = cw_log_entry_encode(&entry);
	return err;
}

static bool all_absent(const u64 *entries)
{
	u32 i;

	for (i = 0; i < CW_LOG_FANOUT; i++)
		if (entries[i])
			return false;
	return true;
}

static void count_meta(struct cw_log *log, u64 word, bool dies)
{
	struct log_segment *segment;
	struct log_entry entry;

	if (!word)
		return;
	cw_log_entry_decode(word, &entry);
	segment = cw_log_segment_at(log, entry.sector);
	if (dies) {
		segment->pending += cw_log_entry_share(&entry);
	} else {
		segment->live += cw_log_entry_share(&entry);
		log->meta_live += cw_log_entry_share(&entry);
	}
}

/* Writes one page, if there is anything on it, and notes its new place. */
static int save_page(struct cw_log *log, enum cw_log_meta kind, u32 number,
		     const u64 *entries, u64 *at)
{
	u64 word = 0;
	int err = 0;

	if (!all_absent(entries))
		err = write_meta(log, kind, number, entries, &word);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	count_meta(log, *at, true);
	count_meta(log, word, false);
	*at = word;
	cw_mutex_unlock(&log->lock);
	return 0;
}

/*
 * Writes the changed pages of an array of entries, 512 a page, and marks the
 * pages one level up as changed.
 */
static int save_array(struct cw_log *log, enum cw_log_meta kind,
		      const u64 *entries, u32 nr, bool *changed, u64 *at,
		      bool *changed_above)
{
	u32 pages = cw_div_up(nr, CW_LOG_FANOUT);
	u64 *page = log->snapshot->scratch;
	u32 i;
	int err;

	for (i = 0; i < pages; i++) {
		u32 first = i * CW_LOG_FANOUT;
		u32 count = cw_min(nr - first, CW_LOG_FANOUT);

		if (!changed[i])
			continue;
		memcpy(page, entries + first, count * sizeof(*page));
		memset(page + count, 0,
		       (CW_LOG_FANOUT - count) * sizeof(*page));
		err = save_page(log, kind, i, page, &at[i]);
		if (err)
			return err;
		changed[i] = false;
		if (changed_above)
			changed_above[i / CW_LOG_FANOUT] = true;
	}
	return 0;
}

static int save_map(struct cw_log *log, struct log_snapshot *snap)
{
	u32 i;
	int err;

	for (i = 0; i < snap->nr_pages; i++) {
		u32 n = snap->page_n[i];

		err = save_page(log, CW_LOG_META_MAP, n, snap->page[i],
				&log->map_at[n]);
		if (err)
			return err;
		log->map_dir_changed[n / CW_LOG_FANOUT] = true;
	}
	err = save_array(log, CW_LOG_META_MAP_DIR, log->map_at, log->map_pages,
			 log->map_dir_changed, log->map_dir_at,
			 log->map_root_changed);
	if (err)
		return err;
	return save_array(log, CW_LOG_META_MAP_ROOT, log->map_dir_at,
			  log->map_dirs, log->map_root_changed,
			  log->map_root_at, NULL);
}

static int save_usage(struct cw_log *log, struct log_snapshot *snap)
{
	int err;

	err = save_array(log, CW_LOG_META_USAGE, snap->usage, snap->nr_segments,
			 log->usage_changed, log->usage_at,
			 log->usage_dir_changed);
	if (err)
		return err;
	return save_array(log, CW_LOG_META_USAGE_DIR, log->usage_at,
			  cw_div_up(snap->nr_segments, CW_LOG_FANOUT),
			  log->usage_dir_changed, log->usage_dir_at, NULL);
}

/* ---- 4. superblock ---- */

static void encode_super(struct cw_log *log, const struct log_snapshot *snap,
			 u64 gen_limit)
{
	struct cw_disk_log_super *super = log->super;
	u32 i;

	super->seq = cw_to_le64(log->super_seq + 1);
	super->gen_limit = cw_to_le64(gen_limit);
	super->segments = cw_to_le64(snap->nr_segments);
	super->plain_pages = cw_to_le64(snap->plain_pages);
	super->limit = cw_to_le64(snap->limit);
	super->log_gen = cw_to_le64(snap->log_gen);
	super->log_seq = cw_to_le64(snap->log_seq);
	super->log_segment = cw_to_le32(snap->log_segment);
	super->log_sector = cw_to_le32(snap->log_sector);
	super->meta_segment = cw_to_le32(log->meta_segment);
	super->meta_sector = cw_to_le32(log->meta_sector);
	for (i = 0; i < CW_LOG_MAP_ROOTS; i++)
		super->map_root[i] = cw_to_le64(log->map_root_at[i]);
	for (i = 0; i < CW_LOG_USAGE_ROOTS; i++)
		super->usage_root[i] = cw_to_le64(log->usage_dir_at[i]);
	super->crc = cw_to_le32(cw_log_super_crc(super));
}

/* The copy in use stays until the other is known to be durable. */
static int write_super(struct cw_log *log)
{
	u32 slot = (log->super_slot + 1) % CW_LOG_SUPERS;
	int err;

	log->super_seq++; /* used up, even if writing fails halfway */
	err = cw_cow_pwrite(log->io, log->super, sizeof(*log->super),
			    slot * CW_LOG_SUPER_STRIDE);
	if (!err)
		err = cw_log_sync(log);
	if (!err)
		log->super_slot = slot;
	return err;
}

/* ---- 6. commit or abort; with lock held ---- */

static void free_unused(struct cw_log *log, u32 n)
{
	struct log_segment *segment = &log->segments[n];

	if (segment->state == SEGMENT_META) {
		segment->live -= segment->pending;
		log->meta_live -= segment->pending;
		segment->pending = 0;
		if (!segment->live && n != log->meta_segment)
			cw_log_free_segment(log, n);
	} else if (segment->state == SEGMENT_DATA && segment->dying) {
		cw_log_free_segment(log, n);
	}
}

static void commit(struct cw_log *log, const struct log_snapshot *snap,
		   u64 gen_limit)
{
	struct log_page *page;
	u32 i, n;

	for (i = 0; i < 1u << LOG_HASH_BITS; i++) {
		for (page = log->hash[i]; page; page = page->hash_next) {
			if (page->saving && !page->dirty)
				log->dirty_pages--;
			page->saving = false;
		}
	}
	/* The next checkpoint takes what was touched after the snapshot. */
	memset(log->usage_touched, 0, LOG_USAGE_PAGES * sizeof(bool));
	log->nr_usage_touched = 0;
	for (n = 0; n < snap->nr_segments; n++) {
		if (log->segments[n].changed)
			cw_log_segment_changed(log, n);
		free_unused(log, n);
	}
	log->gen_limit = gen_limit;
	log->appended_sectors -= snap->appended_sectors;
	if (log->full && cw_log_may_take(log, LOG_FOR_DATA))
		log->full = false;
}

/* The map in memory is as it was; everything is still to be written. */
static void abort_checkpoint(struct cw_log *log)
{
	struct log_page *page;
	u32 i;

	for (i = 0; i < 1u << LOG_HASH_BITS; i++) {
		for (page = log->hash[i]; page; page = page->hash_next) {
			page->dirty |= page->saving;
			page->saving = false;
		}
	}
	for (i = 0; i < log->nr_segments; i++)
		log->segments[i].dying = false;
	for (i = 0; i < LOG_USAGE_PAGES; i++)
		log->usage_changed[i] |= log->usage_touched[i];
}

static int write_checkpoint(struct cw_log *log, struct log_snapshot *snap,
			    u64 gen_limit)
{
	int err;

	err = save_map(log, snap);
	if (!err)
		err = save_usage(log, snap);
	if (!err)
		err = cw_log_sync(log);
	if (err)
		return err;
	encode_super(log, snap, gen_limit);
	return write_super(log);
}

int cw_log_snapshot_room(struct cw_log *log, cw_log_alloc alloc)
{
	struct log_snapshot *snap = log->snapshot;
	u32 room = cw_div_up(log->nr_segments, CW_LOG_FANOUT) * CW_LOG_FANOUT;
	u64 *usage;

	if (room <= snap->usage_room)
		return 0;
	usage = alloc(room * sizeof(*usage));
	if (!usage)
		return -ENOMEM;
	cw_free(snap->usage);
	snap->usage = usage;
	snap->usage_room = room;
	return 0;
}

/* With maint held. */
static void set_frozen(struct cw_log *log, bool frozen, const u8 *uuid)
{
	struct cw_disk_log_super *super = log->super;
	u64 ro_compat = cw_from_le64(super->ro_compat);

	ro_compat &= ~CW_LOG_RO_COMPAT_FROZEN;
	if (frozen)
		ro_compat |= CW_LOG_RO_COMPAT_FROZEN;
	super->ro_compat = cw_to_le64(ro_compat);
	memcpy(super->uuid, uuid, CW_UUID_LEN);
}

/*
 * Writes both superblocks for the present checkpoint and the log that follows
 * it. They refer to nothing new, so nothing has to be durable before. Both
 * copies are written, so that damage to one does not lose the change.
 */
int cw_log_rewrite_super(struct cw_log *log)
{
	u32 copy;
	int err;

	cw_mutex_lock(&log->lock);
	err = log->failed;
	cw_mutex_unlock(&log->lock);
	for (copy = 0; !err && copy < CW_LOG_SUPERS; copy++) {
		log->super->seq = cw_to_le64(log->super_seq + 1);
		log->super->crc = cw_to_le32(cw_log_super_crc(log->super));
		err = write_super(log);
	}
	return err;
}

/*
 * The last checkpoint's superblock marks the log as frozen. So the log is
 * frozen with all its data or not at all: acknowledged data becomes durable
 * with it. The checkpoint makes attaching quick; without room for one, the log
 * does without.
 *
 * Then both copies are marked, so that damage to one cannot make the log
 * writable again. When a superblock could not be written, either copy may
 * count. The next checkpoint says that the log is not frozen. After a crash
 * before that, the log may be frozen: writing needs a layer over it, and no
 * data is lost.
 */
int cw_log_freeze(struct cw_log *log, const u8 *uuid)
{
	int err;

	cw_mutex_lock(&log->maint);
	set_frozen(log, true, uuid);
	err = cw_log_checkpoint(log);
	if (!err || err == -ENOSPC)
		err = cw_log_rewrite_super(log);
	if (err)
		set_frozen(log, false, log->cow->uuid);
	cw_mutex_unlock(&log->maint);
	return err;
}

int cw_log_checkpoint(struct cw_log *log)
{
	struct log_snapshot *snap = log->snapshot;
	u64 gen_limit;
	int err;

	err = clean_meta(log);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	err = log->failed;
	if (!err) {
		snapshot_pages(log, snap);
		snapshot_position(log, snap);
		snapshot_usage(log, snap);
		log->meta_sector = cw_log_next_meta_block(log);
	}
	gen_limit = log->next_gen + LOG_GEN_STEP;
	cw_mutex_unlock(&log->lock);
	if (err)
		return err;
	err = write_checkpoint(log, snap, gen_limit);
	cw_mutex_lock(&log->lock);
	if (err)
		abort_checkpoint(log);
	else
		commit(log, snap, gen_limit);
	cw_cond_broadcast(&log->changed);
	cw_mutex_unlock(&log->lock);
	return err;
}
