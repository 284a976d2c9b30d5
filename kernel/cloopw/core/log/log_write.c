// SPDX-License-Identifier: GPL-2.0
/* Writing to the log: from pages, zeros and discards to records. */
#include "log.h"

/* ---- getting ready to change the map ---- */

/* Cleans dirty pages with a checkpoint, unless another thread has done so. */
static int clean_dirty(struct cw_log *log)
{
	bool needed;
	int err = 0;

	if (!cw_log_has_begun(log))
		return cw_log_make_room(log, LOG_FOR_BEGIN);
	cw_mutex_lock(&log->maint);
	cw_mutex_lock(&log->lock);
	needed = !cw_log_may_get_dirty(log, false);
	cw_mutex_unlock(&log->lock);
	if (needed)
		err = cw_log_checkpoint(log);
	cw_mutex_unlock(&log->maint);
	return err;
}

/* Reserves room for two more dirty map pages. */
static int keep_room(struct cw_log *log)
{
	int err = 0;

	while (!err && !cw_log_reserve_dirty(log, false))
		if (!cw_log_wait_for_reserved(log))
			err = clean_dirty(log);
	return err;
}

/*
 * Gets ready to change the map: pins the map pages of the record's range, and
 * reserves room for two more dirty pages. Writes a checkpoint if it takes one.
 * create as in cw_log_map_get(). cw_log_finish() undoes both.
 */
static int prepare(struct cw_log *log, struct log_append *append, bool create)
{
	int err = keep_room(log);

	if (err)
		return err;
	err = cw_log_get_map_pages(log, append, create);
	if (err)
		cw_log_give_up_room(log);
	return err;
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

	err = prepare(log, &append, true);
	if (err)
		return err;
	ws = cw_workspace_get(&log->workspaces);
	if (record->data_mask)
		cw_log_record_fill(log->codec, ws,
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

	err = prepare(log, &append, type == CW_LOG_WIPE);
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
