// SPDX-License-Identifier: GPL-2.0
/* Reading from the log: the map's entries for a range, and their records. */
#include "log.h"

/* Entries that one read can serve: they have the same place, or one record. */
struct run {
	struct log_entry entry; /* the first page's entry */
	u32 pages;
	/* its segment's generation; the segment is pinned if DATA */
	u64 gen;
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

/* Looks a range up and pins the segment of the record found. */
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
			cw_log_pin(log, cw_log_segment_of(run->entry.sector));
			run->gen = segment->gen;
		}
	}
	cw_mutex_unlock(&log->lock);
	cw_log_map_put(log, map);
	return err;
}

static int bad_record(struct cw_log *log, const struct run *run, int err)
{
	cw_log_bad("%s: the record at sector %llu is damaged or cannot be read (%s)",
		   log->io->name, run->entry.sector, cw_error_text(err));
	return -EIO;
}

/* Is this the record that the map means? */
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
		       cw_log_sector_offset(run->entry.sector));
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

/* The needed parts of a record with codec none. */
struct plain {
	u8 header[CW_SECTOR_SIZE];
	u64 payload; /* where in the file */
};

/* check_header() checks whether the record agrees with the map. */
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

/* Reads from the record's page index on. */
static int read_pages(struct cw_log *log, const struct plain *plain, u32 index,
		      u32 pages, u8 *to)
{
	int err = cw_pread(log->io, to, (size_t)pages * CW_PAGE_SIZE,
			   plain->payload + (u64)index * CW_PAGE_SIZE);

	return err ? err : check_pages(plain, index, pages, to);
}

/* Reads from the record's first page on, in one call. */
static int read_from_start(struct cw_log *log, const struct run *run, u64 page,
			   u32 pages, u8 *to)
{
	u64 at = cw_log_sector_offset(run->entry.sector);
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

/* Reads the header, then the range; a part of a page needs a workspace. */
static int read_somewhere(struct cw_log *log, const struct run *run, u64 page,
			  u32 skip, u32 len, u8 *buf)
{
	u64 at = cw_log_sector_offset(run->entry.sector);
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
 * Reads uncompressed pages: only those, and the header. Whole pages need no
 * workspace, so nobody waits for one.
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
 * Reads a part of a compressed record through the cache. The key contains the
 * segment's generation, so a reused place has another key.
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
	/* The pages of a record never change, but a file may lie. */
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

int cw_log_read(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n)
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
		cw_log_unpin(log, cw_log_segment_of(run.entry.sector));
		cw_mutex_unlock(&log->lock);
		return err ? err : CW_COW_HIT;
	}
	return -EIO;
}

/*
 * With lock held: the answer for the first entry, and for how many entries it
 * counts.
 */
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

int cw_log_block_status(struct cw_cow *cow, u64 off, u64 len, u64 *n)
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

/*
 * Records have a checksum that a read must check, so no data counts as
 * uncompressed.
 */
int cw_log_locate(struct cw_cow *cow, u64 off, u32 len, u64 *pos)
{
	bool absent = cw_log_map_absent(cow->priv, off >> CW_PAGE_SHIFT,
					cw_div_up(off + len, CW_PAGE_SIZE));

	return absent ? CW_COW_MISS : -EAGAIN;
}
