// SPDX-License-Identifier: GPL-2.0
/* Writing to the log: from pages, zeros and discards to records. */
#include "log.h"

/* ---- getting ready to change the map ---- */

/*
 * May two more pages become dirty? A checkpoint must be possible for them and
 * all others. With lock held.
 */
static bool may_get_dirty(struct cw_log *log, bool maint_held)
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

/* Waits for other writers to finish, if that helps; false: it does not. */
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

/* Cleans dirty pages with a checkpoint, unless another thread has done so. */
static int clean_dirty(struct cw_log *log)
{
	bool needed;
	int err = 0;

	if (!cw_log_has_begun(log))
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

int cw_log_keep_room(struct cw_log *log, bool maint_held)
{
	int err = 0;

	while (!err && !reserve_dirty(log, maint_held)) {
		if (maint_held)
			err = cw_log_checkpoint(log);
		else if (!wait_for_reserved(log))
			err = clean_dirty(log);
	}
	return err;
}

void cw_log_give_up_room(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	log->reserved_pages -= 2;
	cw_mutex_unlock(&log->lock);
	cw_cond_broadcast(&log->changed);
}

int cw_log_prepare(struct cw_log *log, struct log_append *append, bool create)
{
	int err = cw_log_keep_room(log, false);

	if (err)
		return err;
	err = cw_log_get_map_pages(log, append, create);
	if (err)
		cw_log_give_up_room(log);
	return err;
}

void cw_log_finish(struct cw_log *log, struct log_append *append)
{
	cw_log_put_map_pages(log, append);
	cw_log_give_up_room(log);
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
	/* Compression is worth it when it saves a sector. */
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
		memcpy(&word, page + i, sizeof(word)); /* any alignment */
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
 * Copies the pages of mask, one behind the other.
 *
 * It copies even when the mask has all pages, because the owner of buf may
 * change it meanwhile (direct I/O, a page under writeback). A compressor that
 * sees two contents of one page can damage another page that refers to it.
 * Without a codec the copy goes where the record is put together.
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

	err = cw_log_prepare(log, &append, true);
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

int cw_log_write(struct cw_cow *cow, u64 off, u32 len, const void *buf)
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

/*
 * With lock held: would the record change anything? After a hole, recovery may
 * find a failed record again, so a page absent from the map counts, too.
 */
static bool is_needed(const struct cw_log *log, const struct log_append *append)
{
	const struct log_page *map = append->map[0];
	u32 slot = append->record.page % CW_LOG_FANOUT;
	u32 i;

	if (append->record.type == CW_LOG_WIPE || log->may_return)
		return true;
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
		/* A discard must work without space. */
		.purpose = type == CW_LOG_DROP ? LOG_FOR_SPACE : LOG_FOR_DATA,
	};
	struct cw_workspace *ws;
	bool needed;
	int err;

	err = cw_log_prepare(log, &append, type == CW_LOG_WIPE);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	needed = is_needed(log, &append);
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

int cw_log_zero(struct cw_cow *cow, u64 off, u64 len)
{
	int err = change_ranges(cow->priv, CW_LOG_WIPE, off, len);

	cw_log_note_result(cow->priv, err);
	cw_log_checkpoint_if_due(cow->priv);
	return err;
}

int cw_log_discard(struct cw_cow *cow, u64 off, u64 len)
{
	int err = change_ranges(cow->priv, CW_LOG_DROP, off, len);

	if (!err)
		err = cw_log_reclaim(cow->priv, LOG_RECLAIM_DUE);
	return err;
}
