// SPDX-License-Identifier: GPL-2.0
/* Records: appended in order, and applied to the map. */
#include "log.h"

/* ---- the map ---- */

static void set_entry(struct cw_log *log, struct log_page *map, u32 slot,
		      u64 word)
{
	u64 old = map->entry[slot];

	if (old == word)
		return;
	cw_log_account(log, old, -1);
	cw_log_account(log, word, 1);
	map->entry[slot] = word;
	cw_log_map_dirty(log, map);
}

/* Is the page still where the cleaner took it from? */
static bool is_at(u64 word, u64 sector)
{
	struct log_entry entry;

	cw_log_entry_decode(word, &entry);
	return entry.state == CW_LOG_DATA && entry.sector == sector;
}

static void apply_extent(struct cw_log *log, struct log_append *append)
{
	const struct log_record *record = &append->record;
	u32 i;

	for (i = 0; i < record->pages; i++) {
		u64 page = record->page + i;
		struct log_page *map = append->map[cw_log_map_page_of(page) -
						   cw_log_map_page_of(record->page)];
		u32 slot = page % CW_LOG_FANOUT;

		if (!((record->data_mask | record->zero_mask) & (1u << i)))
			continue;
		/*
		 * A page that was overwritten while the cleaner copied it stays
		 * as it is. Recovery decides the same, because it applies the
		 * same records in the same order.
		 */
		if (record->type == CW_LOG_MOVE &&
		    !is_at(map->entry[slot], record->from))
			continue;
		set_entry(log, map, slot,
			  cw_log_entry_for(record, append->sector, i));
	}
}

static void apply_range(struct cw_log *log, struct log_append *append, u64 word)
{
	const struct log_record *record = &append->record;
	u32 i;

	for (i = 0; append->map[0] && i < record->pages; i++)
		set_entry(log, append->map[0],
			  (record->page + i) % CW_LOG_FANOUT, word);
}

void cw_log_apply(struct cw_log *log, struct log_append *append)
{
	switch (append->record.type) {
	case CW_LOG_WRITE:
	case CW_LOG_MOVE:
		apply_extent(log, append);
		break;
	case CW_LOG_DROP:
		apply_range(log, append, 0);
		break;
	case CW_LOG_WIPE:
		apply_range(log, append,
			    (u64)CW_LOG_ZERO << CW_LOG_ENTRY_STATE_SHIFT);
		break;
	}
}

/* ---- the place of the next record ---- */

static void wait_for_place(struct cw_log *log)
{
	while (log->preparing)
		cw_cond_wait(&log->changed, &log->lock);
}

/* Holds the place of the next record, and drops the lock meanwhile. */
static void begin_preparing(struct cw_log *log)
{
	log->preparing = true;
	cw_mutex_unlock(&log->lock);
}

static void end_preparing(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	log->preparing = false;
	cw_cond_broadcast(&log->changed);
}

/*
 * Writes a record without payload into one sector. On a medium that takes whole
 * pages it writes a page where the mark begins one, because nothing is behind
 * it yet: see zero_ahead(). The caller holds the place.
 */
static int write_mark(struct cw_log *log, u64 sector, struct log_record *record)
{
	u8 *buf = log->mark_buf;
	u64 at = cw_log_sector_offset(sector);
	bool whole = log->io->whole_pages && at % CW_PAGE_SIZE == 0;

	cw_log_record_encode(buf, record);
	return cw_cow_pwrite(log->io, buf, whole ? CW_PAGE_SIZE : CW_SECTOR_SIZE,
			     at);
}

/*
 * The marks that lead from one segment to the next, and the place of the jump.
 */
struct marks {
	struct log_record begin;
	struct log_record jump; /* without type: there is none */
	u64 jump_at;
	u32 next;
};

static void plan_marks(struct cw_log *log, u32 next, struct marks *marks)
{
	u32 old = log->segment;
	bool first = old == CW_LOG_NO_SEGMENT;
	u64 gen = log->segments[next].gen;

	*marks = (struct marks){
		.next = next,
		.begin = {
			.type = CW_LOG_SEGMENT,
			.gen = gen,
			.seq = log->next_seq + !first,
		},
	};
	if (first)
		return;
	marks->jump = (struct log_record){
		.type = CW_LOG_JUMP,
		.gen = log->segments[old].gen,
		.seq = log->next_seq,
		.from = next,
		.next_gen = gen,
	};
	marks->jump_at = cw_log_first_sector(old) + log->sector;
}

/*
 * Writes the beginning of the new segment, and then the jump in the old one.
 * Recovery stops at what is missing, so the jump only counts when both are
 * there.
 */
static int write_marks(struct cw_log *log, struct marks *marks)
{
	int err = write_mark(log, cw_log_first_sector(marks->next), &marks->begin);

	if (!err && marks->jump.type)
		err = write_mark(log, marks->jump_at, &marks->jump);
	return err;
}

int cw_log_open_segment(struct cw_log *log, enum log_purpose purpose)
{
	struct marks marks;
	u32 old, next;
	int err;

	wait_for_place(log);
	if (!cw_log_may_take(log, purpose))
		return -EAGAIN;
	next = cw_log_take_free_segment(log, SEGMENT_DATA);
	if (next == CW_LOG_NO_SEGMENT)
		return -EAGAIN;
	old = log->segment;
	plan_marks(log, next, &marks);
	begin_preparing(log);
	err = write_marks(log, &marks);
	end_preparing(log);
	/* The log may have been broken by a record on its way. */
	if (!err && log->segment != old)
		err = -EAGAIN;
	if (err) {
		if (log->segments[next].state == SEGMENT_DATA &&
		    log->segments[next].gen == marks.begin.gen)
			cw_log_free_segment(log, next);
		return err;
	}
	log->next_seq = marks.begin.seq + 1;
	log->segment = next;
	log->sector = 1;
	log->ahead = LOG_PAGE_SECTORS;
	return 0;
}

static u32 round_to_page(u32 sector, bool up)
{
	return (up ? sector + LOG_PAGE_SECTORS - 1 : sector) & ~(LOG_PAGE_SECTORS - 1);
}

static bool needs_zeros(const struct cw_log *log, u32 sectors)
{
	return log->sector + sectors > log->ahead &&
	       (log->synced || log->io->whole_pages);
}

/*
 * Writes zeros ahead of the next record.
 *
 * The space of a new segment is allocated, but the file system has never
 * written it. Each first write there changes metadata, which a flush has to
 * commit. So a log that is flushed often writes zeros some way ahead of the
 * next record. They become durable with that record's flush, and later records
 * find written blocks. A medium that takes whole pages would read the page in
 * which a record ends. So the log zeroes a few in time.
 *
 * The zeros begin with the page of the record's end, because the record is
 * still to be written. No record has a place behind log->sector, and none takes
 * one meanwhile; records before it have. An error will meet the records, too.
 * The caller holds lock, which the function drops.
 */
static void zero_ahead(struct cw_log *log, u32 sectors)
{
	u32 end = log->sector + sectors;
	u32 at = cw_max(round_to_page(end, false), log->sector);
	u64 first = cw_log_first_sector(log->segment);
	int err = 0;

	end += log->synced ? LOG_AHEAD_SECTORS : LOG_AHEAD_SECTORS_FEW;
	end = cw_min(round_to_page(end, true), CW_LOG_SEGMENT_SECTORS);
	log->synced = false;
	log->ahead = end;
	begin_preparing(log);
	while (!err && at < end) {
		u32 part = cw_min(end - at, LOG_ZEROS_SECTORS);

		err = cw_cow_pwrite(log->io, log->zeros, part * CW_SECTOR_SIZE,
				    cw_log_sector_offset(first + at));
		at += part;
	}
	end_preparing(log);
}

/* ---- appending ---- */

static int may_append(struct cw_log *log, enum log_purpose purpose)
{
	if (log->failed)
		return log->failed;
	if (!log->begun || (purpose == LOG_FOR_DATA && !cw_log_may_fill(log)))
		return -EAGAIN;
	return 0;
}

static void take_place(struct cw_log *log, struct log_append *append)
{
	struct log_record *record = &append->record;

	append->next = NULL;
	append->written = false;
	append->retired = false;
	append->err = 0;
	cw_cond_init(&append->done);
	append->sector = cw_log_first_sector(log->segment) + log->sector;
	record->gen = log->segments[log->segment].gen;
	record->seq = log->next_seq++;
	if (record->data_mask)
		log->segments[log->segment].filled = true;
	log->sector += record->sectors;
	log->appended_sectors += record->sectors;
	if (log->last)
		log->last->next = append;
	else
		log->first = append;
	log->last = append;
}

/* Gives the record its place in the log; with lock held, which it may drop. */
static int reserve(struct cw_log *log, struct log_append *append)
{
	u32 sectors = append->record.sectors;
	int err;

	for (;;) {
		wait_for_place(log);
		err = may_append(log, append->purpose);
		if (err)
			return err;
		if (log->sector + sectors > cw_log_fill_end(log)) {
			err = cw_log_open_segment(log, append->purpose);
			if (err)
				return err;
		} else if (needs_zeros(log, sectors)) {
			zero_ahead(log, sectors);
		} else {
			take_place(log, append);
			return 0;
		}
	}
}

/*
 * The place is taken, and other records may be behind it. A PAD says that
 * nothing is here. Without the PAD, recovery would find no later record.
 */
static int pad_out(struct cw_log *log, struct log_append *append, u8 *buf)
{
	struct log_record pad = {
		.type = CW_LOG_PAD,
		.gen = append->record.gen,
		.seq = append->record.seq,
		.sectors = append->record.sectors,
	};

	memset(buf, 0, CW_SECTOR_SIZE);
	cw_log_record_put_header(buf, &pad);
	return cw_cow_pwrite(log->io, buf, CW_SECTOR_SIZE,
			     cw_log_sector_offset(append->sector));
}

/*
 * The log has a hole. Records on their way get an error, because they are
 * behind the hole or might be. Acknowledged records are before it. The next
 * write begins the log anew in another segment, with a checkpoint that leads
 * there.
 */
static void break_log(struct cw_log *log, int err)
{
	cw_mutex_lock(&log->lock);
	log->broken = err;
	log->may_return = true;
	log->begun = false;
	log->segment = CW_LOG_NO_SEGMENT;
	cw_mutex_unlock(&log->lock);
}

/* Retires all written records up to the first unwritten one; lock is held. */
static void retire(struct cw_log *log)
{
	struct log_append *append;

	while (log->first && log->first->written) {
		append = log->first;
		log->first = append->next;
		if (!log->first)
			log->last = NULL;
		if (!append->err)
			append->err = log->failed ? log->failed : log->broken;
		if (!append->err)
			cw_log_apply(log, append);
		append->retired = true;
		/* Under the lock: without it the append may be gone. */
		cw_cond_signal(&append->done);
	}
	cw_cond_broadcast(&log->changed);
}

/*
 * Writes len bytes of a record that has its place, waits for all before it and
 * retires it. buf has room for at least a sector. Takes lock and keeps it.
 */
static int write_placed(struct cw_log *log, struct log_append *append, u8 *buf,
			u32 len)
{
	int err;

	cw_log_record_put_header(buf, &append->record);
	err = cw_cow_pwrite(log->io, buf, len, cw_log_sector_offset(append->sector));
	if (err && pad_out(log, append, buf))
		break_log(log, err);

	cw_mutex_lock(&log->lock);
	append->written = true;
	append->err = err;
	retire(log);
	while (!append->retired)
		cw_cond_wait(&append->done, &log->lock);
	cw_cond_destroy(&append->done);
	return append->err;
}

int cw_log_append(struct cw_log *log, struct log_append *append, u8 *buf)
{
	int err;

	cw_mutex_lock(&log->lock);
	err = reserve(log, append);
	if (!err) {
		cw_mutex_unlock(&log->lock);
		err = write_placed(log, append, buf,
				   append->record.sectors * CW_SECTOR_SIZE);
	}
	cw_mutex_unlock(&log->lock);
	return err;
}

/* ---- blocks of the medium ---- */

/* Waits for all records that have a place by now. */
static void wait_for_records(struct cw_log *log)
{
	u64 seq = log->next_seq;

	while (log->first && log->first->record.seq < seq)
		cw_cond_wait(&log->changed, &log->lock);
}

void cw_log_finish_block(struct cw_log *log)
{
	struct log_append pad = { .record = { .type = CW_LOG_PAD } };
	u8 buf[CW_SECTOR_SIZE] __aligned(8) = { 0 };
	u32 used;

	if (log->block == 1)
		return;
	wait_for_place(log);
	used = log->sector % log->block;
	if (log->begun && !log->failed && used) {
		pad.record.sectors = log->block - used;
		take_place(log, &pad);
		cw_mutex_unlock(&log->lock);
		/*
		 * When the write fails, the log fails, or it begins in another
		 * segment.
		 */
		write_placed(log, &pad, buf, CW_SECTOR_SIZE);
	}
	wait_for_records(log);
}
