// SPDX-License-Identifier: GPL-2.0
/* The native COW log as a COW format: opening, reading, writing, flushing. */
#include "log.h"

static bool log_probe(const u8 *head, u32 len)
{
	return len >= 8 && !memcmp(head, CW_LOG_MAGIC, 8);
}

/* ---- opening ---- */

/* What a layer that is only read does not need, some megabytes. */
static void free_writing(struct cw_log *log)
{
	cw_workspace_pool_destroy(&log->workspaces);
	if (log->snapshot)
		cw_free(log->snapshot->usage);
	cw_free(log->snapshot);
	log->snapshot = NULL;
	cw_free(log->clean_buf);
	log->clean_buf = NULL;
	cw_free(log->zeros);
	log->zeros = NULL;
}

static void destroy(struct cw_log *log)
{
	cw_log_map_destroy(log);
	free_writing(log);
	cw_workspace_pool_destroy(&log->meta_workspaces);
	cw_free(log->super);
	cw_free(log->segments);
	cw_free(log->usage_touched);
	cw_free(log->usage_changed);
	cw_free(log->usage_at);
	cw_free(log->map_dir_changed);
	cw_free(log->map_dir_at);
	cw_free(log->map_at);
	cw_cond_destroy(&log->flushed);
	cw_cond_destroy(&log->changed);
	cw_mutex_destroy(&log->lock);
	cw_mutex_destroy(&log->maint);
	cw_free(log);
}

static int allocate_tables(struct cw_log *log)
{
	log->map_at = cw_alloc(log->map_pages * sizeof(u64));
	log->map_dir_at = cw_alloc(log->map_dirs * sizeof(u64));
	log->map_dir_changed = cw_alloc(log->map_dirs * sizeof(bool));
	log->usage_at = cw_alloc(LOG_USAGE_PAGES * sizeof(u64));
	log->usage_changed = cw_alloc(LOG_USAGE_PAGES * sizeof(bool));
	log->usage_touched = cw_alloc(LOG_USAGE_PAGES * sizeof(bool));
	log->super = cw_alloc(sizeof(*log->super));
	log->snapshot = cw_alloc(sizeof(*log->snapshot));
	log->clean_buf = cw_alloc(CW_LOG_SEGMENT_LEN);
	log->zeros = cw_alloc(LOG_ZEROS_SECTORS * CW_SECTOR_SIZE);
	if (!log->map_at || !log->map_dir_at || !log->map_dir_changed ||
	    !log->usage_at || !log->usage_changed || !log->usage_touched ||
	    !log->super || !log->snapshot || !log->clean_buf || !log->zeros)
		return -ENOMEM;
	return 0;
}

static struct cw_log *create(struct cw_cow *cow)
{
	struct cw_log *log = cw_alloc(sizeof(*log));

	if (!log)
		return NULL;
	cw_mutex_init(&log->maint);
	cw_mutex_init(&log->lock);
	cw_cond_init(&log->changed);
	cw_cond_init(&log->flushed);
	log->cow = cow;
	log->io = cow->io;
	log->owner = cw_cache_new_owner(cow->cache);
	log->segment = CW_LOG_NO_SEGMENT;
	log->meta_segment = CW_LOG_NO_SEGMENT;
	log->lru.lru_prev = &log->lru;
	log->lru.lru_next = &log->lru;
	log->pages = cw_div_up(cow->size, CW_PAGE_SIZE);
	log->map_pages = cw_div_up(log->pages, CW_LOG_FANOUT);
	log->map_dirs = cw_div_up(log->map_pages, CW_LOG_FANOUT);
	return log;
}

/* Decompression of whatever may be in the log; the codec comes later. */
static int create_workspaces(struct cw_log *log, struct cw_workspace_pool *pool,
			     const struct cw_codec *codec, int level)
{
	struct cw_workspace_config config = {
		.codecs = CW_LOG_CODECS,
		.stored_len = LOG_RECORD_ROOM,
		.plain_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
		.max_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
		.compressor = codec,
		.level = level,
	};

	return cw_workspace_pool_init(pool, &config);
}

/* The superblock names the codec, so that all who write use the same. */
static int choose_codec(struct cw_log *log, struct cw_report *report)
{
	u32 id = cw_from_le32(log->super->codec);
	s32 level = cw_from_le32(log->super->codec_level);
	const struct cw_codec *codec = cw_codec_by_id(id);
	int err;

	if (log->super->codec_hc)
		codec = &cw_codec_lz4hc;
	if (!codec || codec->id != id || !(CW_CODEC_BIT(id) & CW_LOG_CODECS))
		return cw_refuse(report, -EINVAL,
				 "%s: asks for codec %u, which this driver does not have",
				 log->io->name, id);
	if (level < codec->min_level || level > codec->max_level)
		return cw_refuse(report, -EINVAL,
				 "%s: asks for level %d of %s, which has %d..%d",
				 log->io->name, level, codec->name,
				 codec->min_level, codec->max_level);
	log->codec = codec;
	if (!log->cow->writable)
		return 0;
	/* Replaces the one that could only decompress, for recovery. */
	cw_workspace_pool_destroy(&log->meta_workspaces);
	err = create_workspaces(log, &log->meta_workspaces, codec, level);
	if (err)
		return err;
	return create_workspaces(log, &log->workspaces, codec, level);
}

/* A file that is full can be attached all the same: reading works. */
static int begin_writing(struct cw_log *log, struct cw_report *report)
{
	int err = cw_log_make_room(log, LOG_FOR_BEGIN);

	if (err == -ENOSPC)
		return 0;
	if (err)
		cw_refuse(report, err, "%s: cannot be written (error %d)",
			  log->io->name, -err);
	return err;
}

static int log_open(struct cw_cow *cow, const struct cw_cow_base *base,
		    struct cw_report *report)
{
	struct cw_log *log = create(cow);
	int err;

	if (!log)
		return -ENOMEM;
	if (log->map_dirs > CW_LOG_MAP_ROOTS * CW_LOG_FANOUT) {
		err = cw_refuse(report, -EFBIG,
				"%s: a COW log covers up to 32 TiB",
				cow->io->name);
		goto fail;
	}
	err = allocate_tables(log);
	if (!err)
		err = create_workspaces(log, &log->meta_workspaces, NULL, 0);
	if (!err)
		err = cw_log_recover(log, base, report);
	if (!err)
		err = choose_codec(log, report);
	if (!err && cow->writable)
		err = begin_writing(log, report);
	if (err)
		goto fail;
	if (!cow->writable)
		free_writing(log);
	cow->priv = log;
	cow->granularity = CW_PAGE_SIZE;
	cow->plain = log->codec->id == CW_CODEC_NONE;
	return 0;

fail:
	destroy(log);
	return err;
}

static void log_close(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;

	/* Not needed for what was flushed, only for a quick attach. */
	if (cow->writable && !log->failed)
		cw_log_reclaim(log, true);
	cw_cache_drop_owner(cow->cache, log->owner);
	destroy(log);
	cow->priv = NULL;
}

/* ---- getting ready to change the map ---- */

/*
 * May two more pages become dirty, that is: could a checkpoint be written of
 * them and of all others? With lock held.
 */
static bool may_get_dirty(struct cw_log *log, bool maint_held)
{
	u32 total = log->dirty_pages + log->reserved_pages + 2;

	if (total > LOG_DIRTY_MAX)
		return false;
	/* Half is kept for whoever makes room for the others. */
	if (!maint_held && log->reserved_pages + 2 > LOG_DIRTY_MAX / 2)
		return false;
	if (!log->begun ||
	    cw_log_checkpoint_need(log, 2) <= cw_log_checkpoint_most(log))
		return true;
	/* A checkpoint or others that finish would not help. */
	return !log->dirty_pages && (maint_held || !log->reserved_pages);
}

static bool reserve_dirty(struct cw_log *log, bool maint_held)
{
	bool ok;

	cw_mutex_lock(&log->lock);
	ok = may_get_dirty(log, maint_held);
	if (ok)
		log->reserved_pages += 2;
	cw_mutex_unlock(&log->lock);
	return ok;
}

/* Waits for others to finish when that is what it takes; false: it is not. */
static bool wait_for_reserved(struct cw_log *log)
{
	bool wait;

	cw_mutex_lock(&log->lock);
	wait = !may_get_dirty(log, false) && log->reserved_pages &&
	       (!log->dirty_pages ||
		log->reserved_pages + 2 > LOG_DIRTY_MAX / 2);
	if (wait)
		cw_cond_wait(&log->changed, &log->lock);
	cw_mutex_unlock(&log->lock);
	return wait;
}

static bool has_begun(struct cw_log *log)
{
	bool begun;

	cw_mutex_lock(&log->lock);
	begun = log->begun;
	cw_mutex_unlock(&log->lock);
	return begun;
}

/* Makes dirty pages clean, unless somebody else has done it meanwhile. */
static int clean_dirty(struct cw_log *log)
{
	bool needed;
	int err = 0;

	if (!has_begun(log))
		return cw_log_make_room(log, LOG_FOR_BEGIN);
	cw_mutex_lock(&log->maint);
	cw_mutex_lock(&log->lock);
	needed = !may_get_dirty(log, false);
	cw_mutex_unlock(&log->lock);
	if (needed)
		err = cw_log_checkpoint(log);
	cw_mutex_unlock(&log->maint);
	return err;
}

int cw_log_get_map_pages(struct cw_log *log, struct log_append *append,
			 bool create)
{
	u64 page = append->record.page;
	u32 first = cw_log_map_page_of(page);
	u32 last = cw_log_map_page_of(page + append->record.pages - 1);
	int err;

	append->map[0] = NULL;
	append->map[1] = NULL;
	err = cw_log_map_get(log, first, create, &append->map[0]);
	if (!err && last != first)
		err = cw_log_map_get(log, last, create, &append->map[1]);
	if (err)
		cw_log_put_map_pages(log, append);
	return err;
}

void cw_log_put_map_pages(struct cw_log *log, struct log_append *append)
{
	cw_log_map_put(log, append->map[0]);
	cw_log_map_put(log, append->map[1]);
	append->map[0] = NULL;
	append->map[1] = NULL;
}

int cw_log_prepare(struct cw_log *log, struct log_append *append, bool create,
		   bool maint_held)
{
	int err = 0;

	while (!reserve_dirty(log, maint_held)) {
		if (maint_held)
			err = cw_log_checkpoint(log);
		else if (!wait_for_reserved(log))
			err = clean_dirty(log);
		if (err)
			return err;
	}
	err = cw_log_get_map_pages(log, append, create);
	if (err)
		cw_log_finish(log, append);
	return err;
}

void cw_log_finish(struct cw_log *log, struct log_append *append)
{
	cw_log_put_map_pages(log, append);
	cw_mutex_lock(&log->lock);
	log->reserved_pages -= 2;
	cw_mutex_unlock(&log->lock);
	cw_cond_broadcast(&log->changed);
}

/* Appends, making room as often as it takes. */
static int append_record(struct cw_log *log, struct log_append *append, u8 *buf)
{
	int err;

	while ((err = cw_log_append(log, append, buf)) == -EAGAIN) {
		err = cw_log_make_room(log, append->purpose);
		if (err)
			return err;
	}
	return err;
}

/* ---- writing ---- */

void cw_log_fill_record(struct cw_log *log, struct cw_workspace *ws,
			const u8 *pages, u32 nr, struct log_record *record)
{
	u32 len = nr * CW_PAGE_SIZE;
	u32 plain_sectors, cap;
	int stored;
	u8 *to;

	record->codec = log->codec->id;
	plain_sectors = cw_div_up(sizeof(struct cw_disk_log_record) +
				  nr * sizeof(__le32) + len, CW_SECTOR_SIZE);
	/* Worth it when it saves a sector. */
	cap = (plain_sectors - 1) * CW_SECTOR_SIZE -
	      sizeof(struct cw_disk_log_record);
	stored = log->codec->compress(ws->ctx[record->codec],
				      ws->stored +
					      sizeof(struct cw_disk_log_record),
				      cap, pages, len);
	if (stored <= 0) {
		record->codec = CW_CODEC_NONE;
		stored = len;
		to = ws->stored + cw_log_payload_at(record);
		if (to != pages)
			memcpy(to, pages, len);
	}
	record->stored = stored;
	cw_log_record_encode(ws->stored, record);
}

static bool page_is_zeros(const u8 *page)
{
	u64 word;
	u32 i;

	for (i = 0; i < CW_PAGE_SIZE; i += sizeof(word)) {
		memcpy(&word, page + i, sizeof(word)); /* of any alignment */
		if (word)
			return false;
	}
	return true;
}

static u16 find_zero_pages(const u8 *buf, u32 pages)
{
	u16 mask = 0;
	u32 i;

	for (i = 0; i < pages; i++)
		if (page_is_zeros(buf + i * CW_PAGE_SIZE))
			mask |= 1u << i;
	return mask;
}

/*
 * Copies the pages of mask, one behind the other. A copy even when that is all
 * of them: whoever owns buf may change it meanwhile (direct I/O, a page under
 * writeback), and a compressor that sees two contents of one page can make
 * another page, which refers to it, wrong. Without a codec it goes where the
 * record is put together.
 */
static const u8 *gather(struct cw_log *log, struct cw_workspace *ws,
			const u8 *buf, struct log_record *record)
{
	u8 *start = ws->plain, *to;
	u32 i;

	record->codec = log->codec->id;
	if (record->codec == CW_CODEC_NONE)
		start = ws->stored + cw_log_payload_at(record);
	to = start;
	for (i = 0; i < record->pages; i++) {
		if (!(record->data_mask & (1u << i)))
			continue;
		memcpy(to, buf + i * CW_PAGE_SIZE, CW_PAGE_SIZE);
		to += CW_PAGE_SIZE;
	}
	return start;
}

static int write_extent(struct cw_log *log, u64 page, u32 pages, const u8 *buf)
{
	u16 zero = find_zero_pages(buf, pages);
	struct log_append append = {
		.record = {
			.type = CW_LOG_WRITE,
			.page = page,
			.pages = pages,
			.zero_mask = zero,
			.data_mask = ((1u << pages) - 1) & ~zero,
		},
		.purpose = LOG_FOR_DATA,
	};
	struct log_record *record = &append.record;
	struct cw_workspace *ws;
	int err;

	err = cw_log_prepare(log, &append, true, false);
	if (err)
		return err;
	ws = cw_workspace_get(&log->workspaces);
	if (record->data_mask)
		cw_log_fill_record(log, ws,
				   gather(log, ws, buf, record),
				   cw_popcount(record->data_mask), record);
	else
		cw_log_record_encode(ws->stored, record);
	err = append_record(log, &append, ws->stored);
	cw_workspace_put(&log->workspaces, ws);
	cw_log_finish(log, &append);
	return err;
}

static int log_write(struct cw_cow *cow, u64 off, u32 len, const void *buf)
{
	struct cw_log *log = cow->priv;
	u64 page = off >> CW_PAGE_SHIFT;
	u32 left = len >> CW_PAGE_SHIFT;
	const u8 *src = buf;
	int err = 0;

	while (left && !err) {
		u32 pages = cw_min(left, CW_LOG_EXTENT_PAGES);

		err = write_extent(log, page, pages, src);
		page += pages;
		left -= pages;
		src += pages * CW_PAGE_SIZE;
	}
	cw_log_note_result(log, err);
	cw_log_checkpoint_if_due(log);
	return err;
}

/* With lock held: would the record change anything? */
static bool has_entries(const struct log_append *append)
{
	const struct log_page *map = append->map[0];
	u32 slot = append->record.page % CW_LOG_FANOUT;
	u32 i;

	for (i = 0; map && i < append->record.pages; i++)
		if (map->entry[slot + i])
			return true;
	return false;
}

/* Drops or wipes a range within one map page. */
static int change_range(struct cw_log *log, u8 type, u64 page, u32 pages)
{
	struct log_append append = {
		.record = { .type = type, .page = page, .pages = pages },
		/* What gives space back must work when there is none. */
		.purpose = type == CW_LOG_DROP ? LOG_FOR_SPACE : LOG_FOR_DATA,
	};
	struct cw_workspace *ws;
	bool needed;
	int err;

	err = cw_log_prepare(log, &append, type == CW_LOG_WIPE, false);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	needed = type == CW_LOG_WIPE || has_entries(&append);
	cw_mutex_unlock(&log->lock);
	if (needed) {
		ws = cw_workspace_get(&log->workspaces);
		cw_log_record_encode(ws->stored, &append.record);
		err = append_record(log, &append, ws->stored);
		cw_workspace_put(&log->workspaces, ws);
	}
	cw_log_finish(log, &append);
	return err;
}

static int change_ranges(struct cw_log *log, u8 type, u64 off, u64 len)
{
	u64 page = off >> CW_PAGE_SHIFT;
	u64 left = len >> CW_PAGE_SHIFT;
	int err = 0;

	while (left && !err) {
		u32 pages = cw_min(left, CW_LOG_FANOUT - page % CW_LOG_FANOUT);

		err = change_range(log, type, page, pages);
		page += pages;
		left -= pages;
	}
	return err;
}

static int log_zero(struct cw_cow *cow, u64 off, u64 len)
{
	int err = change_ranges(cow->priv, CW_LOG_WIPE, off, len);

	cw_log_note_result(cow->priv, err);
	cw_log_checkpoint_if_due(cow->priv);
	return err;
}

static int log_discard(struct cw_cow *cow, u64 off, u64 len)
{
	int err = change_ranges(cow->priv, CW_LOG_DROP, off, len);

	if (!err)
		err = cw_log_reclaim(cow->priv, false);
	return err;
}

/* ---- flushing ---- */

/*
 * All that is acknowledged is in the file with nothing missing before it, so
 * one flush of the file is all. Those who ask while one is under way share
 * the next. A flush that fails may have lost what was acknowledged: the log
 * ends there, as what is on the disk is not known any more.
 */
static int log_flush(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;
	u64 wanted;
	int err;

	if (!cow->writable)
		return 0;
	cw_mutex_lock(&log->lock);
	wanted = log->flushes_begun + 1;
	log->synced = true;
	while (!log->failed && log->flushes_done < wanted) {
		u64 mine;

		if (log->flushing) {
			cw_cond_wait(&log->flushed, &log->lock);
			continue;
		}
		log->flushing = true;
		mine = ++log->flushes_begun;
		cw_mutex_unlock(&log->lock);
		cw_log_flush_io(log);
		cw_mutex_lock(&log->lock);
		log->flushing = false;
		log->flushes_done = mine;
		cw_cond_broadcast(&log->flushed);
	}
	err = log->failed;
	cw_mutex_unlock(&log->lock);
	return err;
}

/* ---- freezing ---- */

static void log_before_freeze(struct cw_cow *cow)
{
	/* Whether it works shows when it counts. */
	cw_log_reclaim(cow->priv, true);
}

static int log_freeze(struct cw_cow *cow, const u8 *uuid)
{
	struct cw_log *log = cow->priv;
	int err = cw_log_freeze(log, uuid);

	if (err)
		return err;
	cow->writable = false;
	cow->frozen = true;
	memcpy(cow->uuid, uuid, CW_UUID_LEN);
	free_writing(log);
	return 0;
}

/* ---- reading ---- */

/* Entries that one read can serve: the same place, or one record's pages. */
struct run {
	struct log_entry entry; /* of the first page */
	u32 pages;
	u64 gen;                /* of its segment, which is pinned if DATA */
};

static bool continues(const struct log_entry *first,
		      const struct log_entry *entry, u32 i)
{
	if (entry->state != first->state)
		return false;
	return first->state != CW_LOG_DATA ||
	       (entry->sector == first->sector &&
		entry->index == first->index + i);
}

/* With lock held. */
static void find_run(struct cw_log *log, const struct log_page *map, u32 slot,
		     u32 max, struct run *run)
{
	struct log_entry entry;
	u32 i;

	cw_log_entry_decode(map->entry[slot], &run->entry);
	for (i = 1; i < max && slot + i < CW_LOG_FANOUT; i++) {
		cw_log_entry_decode(map->entry[slot + i], &entry);
		if (!continues(&run->entry, &entry, i))
			break;
	}
	run->pages = i;
}

/* Looks a range up and pins the segment of what is found. */
static int look_up(struct cw_log *log, u64 page, u32 pages, struct run *run)
{
	u32 slot = page % CW_LOG_FANOUT;
	struct log_segment *segment;
	struct log_page *map;
	int err;

	memset(run, 0, sizeof(*run));
	run->pages = cw_min(pages, CW_LOG_FANOUT - slot);
	err = cw_log_map_get(log, cw_log_map_page_of(page), false, &map);
	if (err || !map)
		return err;
	cw_mutex_lock(&log->lock);
	find_run(log, map, slot, pages, run);
	if (run->entry.state == CW_LOG_DATA) {
		segment = cw_log_segment_at(log, run->entry.sector);
		if (!segment || run->entry.sectors * CW_SECTOR_SIZE >
					LOG_RECORD_ROOM) {
			err = -EIO;
		} else {
			cw_log_pin(log, log_segment_of(run->entry.sector));
			run->gen = segment->gen;
		}
	}
	cw_mutex_unlock(&log->lock);
	cw_log_map_put(log, map);
	return err;
}

static int bad_record(struct cw_log *log, const struct run *run, int err)
{
	cw_log_bad("%s: the record at sector %llu is damaged or cannot be read (error %d)",
		   log->io->name, run->entry.sector, -err);
	return -EIO;
}

/* Is this the record that the map speaks of? */
static int check_identity(const struct run *run, const struct log_record *record,
			  u64 page)
{
	return cw_log_record_holds(record, &run->entry, run->gen, page) ? 0 :
									  -EIO;
}

/* Decompresses a whole record to buf, entry.pages pages. */
static int read_record(struct cw_log *log, struct cw_workspace *ws,
		       const struct run *run, u64 page, u8 *buf)
{
	struct log_record record;
	u32 len = run->entry.sectors * CW_SECTOR_SIZE;
	int err;

	err = cw_pread(log->io, ws->stored, len,
		       log_sector_offset(run->entry.sector));
	if (!err)
		err = cw_log_record_decode(ws->stored, len, &record);
	if (!err)
		err = check_identity(run, &record, page);
	if (!err)
		err = cw_log_record_check(ws->stored, &record);
	if (err)
		return bad_record(log, run, err);
	err = cw_workspace_decompress(&log->meta_workspaces, ws, record.codec, buf,
				      run->entry.pages * CW_PAGE_SIZE,
				      ws->stored + cw_log_payload_at(&record),
				      record.stored);
	return err ? bad_record(log, run, err) : 0;
}

/* A record with codec none, as far as it is needed. */
struct plain {
	u8 header[CW_SECTOR_SIZE];
	u64 payload; /* where in the file */
};

/* Whether the record agrees with the map, check_header() sees. */
static u32 plain_payload_at(const struct run *run)
{
	const struct log_record record = {
		.type = CW_LOG_WRITE,
		.codec = CW_CODEC_NONE,
		.data_mask = (1u << run->entry.pages) - 1,
	};

	return cw_log_payload_at(&record);
}

static int check_header(const struct plain *plain, const struct run *run, u64 page)
{
	struct log_record record;
	int err = cw_log_record_decode(plain->header, sizeof(plain->header),
				       &record);

	return err ? err : check_identity(run, &record, page);
}

static int check_pages(const struct plain *plain, u32 index, u32 pages,
		       const u8 *buf)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < pages; i++)
		err = cw_log_page_check(plain->header, index + i,
					buf + i * CW_PAGE_SIZE);
	return err;
}

/* From its page index on. */
static int read_pages(struct cw_log *log, const struct plain *plain, u32 index,
		      u32 pages, u8 *to)
{
	int err = cw_pread(log->io, to, (size_t)pages * CW_PAGE_SIZE,
			   plain->payload + (u64)index * CW_PAGE_SIZE);

	return err ? err : check_pages(plain, index, pages, to);
}

/* From its first page on, in one go. */
static int read_from_start(struct cw_log *log, const struct run *run, u64 page,
			   u32 pages, u8 *to)
{
	u64 at = log_sector_offset(run->entry.sector);
	struct plain plain = { .payload = at + plain_payload_at(run) };
	int err;

	err = cw_pread_two(log->io, plain.header, plain.payload - at, to,
			   (size_t)pages * CW_PAGE_SIZE, at);
	if (!err)
		err = check_header(&plain, run, page);
	return err ? err : check_pages(&plain, 0, pages, to);
}

static int read_part_of_page(struct cw_log *log, const struct plain *plain,
			     u32 index, u32 skip, u32 len, u8 *buf)
{
	struct cw_workspace *ws = cw_workspace_get(&log->meta_workspaces);
	int err = read_pages(log, plain, index, 1, ws->plain);

	if (!err)
		memcpy(buf, ws->plain + skip, len);
	cw_workspace_put(&log->meta_workspaces, ws);
	return err;
}

/* The header, then what is asked for, page by page where it is a part. */
static int read_somewhere(struct cw_log *log, const struct run *run, u64 page,
			  u32 skip, u32 len, u8 *buf)
{
	u64 at = log_sector_offset(run->entry.sector);
	struct plain plain = { .payload = at + plain_payload_at(run) };
	u32 index = run->entry.index;
	int err;

	err = cw_pread(log->io, plain.header, sizeof(plain.header), at);
	if (!err)
		err = check_header(&plain, run, page);
	while (!err && len) {
		u32 part = cw_min(len, CW_PAGE_SIZE - skip);

		if (part == CW_PAGE_SIZE) {
			part = len & ~(CW_PAGE_SIZE - 1);
			err = read_pages(log, &plain, index,
					 part / CW_PAGE_SIZE, buf);
		} else {
			err = read_part_of_page(log, &plain, index, skip, part,
						buf);
		}
		index += cw_div_up(part, CW_PAGE_SIZE);
		buf += part;
		len -= part;
		skip = 0;
	}
	return err;
}

/*
 * Pages that are stored as they are: reads those alone, and the header. Whole
 * ones need no workspace, so that nobody waits for one.
 */
static int read_plain(struct cw_log *log, const struct run *run, u64 page,
		      u32 skip, u32 len, u8 *buf)
{
	int err;

	if (!run->entry.index && !skip && len % CW_PAGE_SIZE == 0)
		err = read_from_start(log, run, page, len / CW_PAGE_SIZE, buf);
	else
		err = read_somewhere(log, run, page, skip, len, buf);
	return err ? bad_record(log, run, err) : 0;
}

struct fill {
	struct cw_log *log;
	const struct run *run;
	u64 page;
};

static int fill_record(void *arg, u64 pos, u8 *buf, u32 len)
{
	const struct fill *fill = arg;
	struct cw_log *log = fill->log;
	struct cw_workspace *ws = cw_workspace_get(&log->meta_workspaces);
	int err = read_record(log, ws, fill->run, fill->page, buf);

	cw_workspace_put(&log->meta_workspaces, ws);
	return err;
}

static int read_part_uncached(struct cw_log *log, const struct run *run,
			      u64 page, u32 from, u32 len, u8 *buf)
{
	struct cw_workspace *ws = cw_workspace_get(&log->meta_workspaces);
	int err = read_record(log, ws, run, page, ws->plain);

	if (!err)
		memcpy(buf, ws->plain + from, len);
	cw_workspace_put(&log->meta_workspaces, ws);
	return err;
}

/*
 * A part of a compressed record, through the cache. The key is made of the
 * segment's generation: a place that is reused has another key.
 */
static int read_part(struct cw_log *log, const struct run *run, u64 page,
		     u32 from, u32 len, u8 *buf)
{
	struct fill fill = { .log = log, .run = run, .page = page };
	u64 key = run->gen * CW_LOG_SEGMENT_SECTORS +
		  run->entry.sector % CW_LOG_SEGMENT_SECTORS;
	struct cw_cache_entry *entry;
	int err;

	err = cw_cache_get(log->cow->cache, log->owner, key,
			   run->entry.pages * CW_PAGE_SIZE, fill_record, &fill,
			   &entry);
	if (err == -ENOMEM)
		return read_part_uncached(log, run, page, from, len, buf);
	if (err)
		return err;
	/* The pages a record has never change, but a file may lie. */
	if (from + len > entry->len)
		err = bad_record(log, run, -EIO);
	else
		memcpy(buf, entry->data + from, len);
	cw_cache_put(log->cow->cache, entry);
	return err;
}

static int read_data(struct cw_log *log, const struct run *run, u64 page,
		     u32 skip, u32 len, u8 *buf)
{
	u32 from = run->entry.index * CW_PAGE_SIZE + skip;
	struct fill fill = { .log = log, .run = run, .page = page };

	if (run->entry.index + run->pages > run->entry.pages)
		return bad_record(log, run, -EIO);
	if (run->entry.codec == CW_CODEC_NONE)
		return read_plain(log, run, page, skip, len, buf);
	if (!from && len == run->entry.pages * CW_PAGE_SIZE)
		return fill_record(&fill, 0, buf, len);
	return read_part(log, run, page, from, len, buf);
}

static int log_read(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n)
{
	struct cw_log *log = cow->priv;
	u64 page = off >> CW_PAGE_SHIFT;
	u32 skip = off % CW_PAGE_SIZE;
	struct run run;
	int err;

	err = look_up(log, page, cw_div_up((u64)skip + len, CW_PAGE_SIZE),
		      &run);
	if (err)
		return err;
	*n = cw_min(len, (u64)run.pages * CW_PAGE_SIZE - skip);
	if (run.entry.state == CW_LOG_ABSENT)
		return CW_COW_MISS;
	if (run.entry.state == CW_LOG_ZERO) {
		memset(buf, 0, *n);
		return CW_COW_HIT;
	}
	if (run.entry.state == CW_LOG_DATA) {
		err = read_data(log, &run, page, skip, *n, buf);
		cw_mutex_lock(&log->lock);
		cw_log_unpin(log, log_segment_of(run.entry.sector));
		cw_mutex_unlock(&log->lock);
		return err ? err : CW_COW_HIT;
	}
	return -EIO;
}

/* With lock held: what one call can say of a row of entries. */
static int same_state(const struct log_page *map, u32 slot, u32 max, u32 *pages)
{
	u32 state = map->entry[slot] >> CW_LOG_ENTRY_STATE_SHIFT;
	u32 i;

	for (i = 1; i < max; i++)
		if (map->entry[slot + i] >> CW_LOG_ENTRY_STATE_SHIFT != state)
			break;
	*pages = i;
	switch (state) {
	case CW_LOG_ABSENT:
		return CW_COW_MISS;
	case CW_LOG_ZERO:
		return CW_COW_ZERO;
	case CW_LOG_DATA:
		return CW_COW_HIT;
	default:
		return -EIO;
	}
}

static int log_where(struct cw_cow *cow, u64 off, u64 len, u64 *n)
{
	struct cw_log *log = cow->priv;
	u64 page = off >> CW_PAGE_SHIFT;
	u32 slot = page % CW_LOG_FANOUT;
	u32 skip = off % CW_PAGE_SIZE;
	u32 pages = cw_min(cw_div_up(skip + len, CW_PAGE_SIZE),
			   CW_LOG_FANOUT - slot);
	struct log_page *map;
	int hit = CW_COW_MISS;
	int err;

	err = cw_log_map_get(log, cw_log_map_page_of(page), false, &map);
	if (err)
		return err;
	if (map) {
		cw_mutex_lock(&log->lock);
		hit = same_state(map, slot, pages, &pages);
		cw_mutex_unlock(&log->lock);
		cw_log_map_put(log, map);
	}
	*n = cw_min(len, (u64)pages * CW_PAGE_SIZE - skip);
	return hit;
}

/* Records have a checksum, which is to be looked at: none lies there as it is. */
static int log_locate(struct cw_cow *cow, u64 off, u32 len, u64 *pos)
{
	bool absent = cw_log_map_absent(cow->priv, off >> CW_PAGE_SHIFT,
					cw_div_up(off + len, CW_PAGE_SIZE));

	return absent ? CW_COW_MISS : -EAGAIN;
}

static void log_stat(struct cw_cow *cow, struct cw_cow_stat *stat)
{
	struct cw_log *log = cow->priv;

	cw_mutex_lock(&log->lock);
	stat->live_bytes = log->live * CW_SECTOR_SIZE / CW_LOG_EXTENT_PAGES;
	stat->total_bytes = CW_LOG_START +
			    ((u64)(log->nr_used + log->nr_free)
			     << CW_LOG_SEGMENT_SHIFT);
	stat->dead_bytes = ((u64)log->nr_used << CW_LOG_SEGMENT_SHIFT) -
			   stat->live_bytes;
	stat->plain_bytes = log->plain_pages * CW_PAGE_SIZE;
	cw_mutex_unlock(&log->lock);
}

const struct cw_cow_format cw_cow_log = {
	.name = "log",
	.extent = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
	.probe = log_probe,
	.identify = cw_log_identify,
	.open = log_open,
	.close = log_close,
	.read = log_read,
	.where = log_where,
	.locate = log_locate,
	.write = log_write,
	.zero = log_zero,
	.discard = log_discard,
	.flush = log_flush,
	.stat = log_stat,
	.space = cw_log_space,
	.set_limit = cw_log_set_limit,
	.tend = cw_log_tend,
	.before_freeze = log_before_freeze,
	.freeze = log_freeze,
};
