// SPDX-License-Identifier: GPL-2.0
/*
 * Attaching a COW log: the newer sound superblock, the map and the usage it
 * refers to, then all sound records that follow in the log. Recovery writes
 * nothing; cow_log.c writes a checkpoint afterwards.
 *
 * All that is read is hostile until checked.
 */
#include "log.h"

/*
 * Segments that a block device can have got since its last checkpoint. It has more,
 * which were never used. A file has no segment that was never used.
 */
#define HELD_MAX 256u

/* ---- superblock ---- */

/* Can this driver understand it? */
static int check_features(struct cw_disk_log_super *super, const char *name,
			  struct cw_report *report)
{
	u64 incompat = cw_from_le64(super->incompat) & ~CW_LOG_INCOMPAT_KNOWN;
	u32 version = cw_from_le32(super->version);

	if (version != CW_LOG_VERSION)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: COW log of version %u; this driver reads version %u",
				 name, version, CW_LOG_VERSION);
	if (incompat)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: uses features this driver does not know (incompatible feature bits %#llx): a newer cloopw is needed",
				 name, incompat);
	super->parent[CW_LOG_PARENT_LEN - 1] = 0;
	return 0;
}

/*
 * An unreadable copy may be the newer one. Then the other leads to old data,
 * and writing there would lose the newer data for good. Bytes behind the end of
 * the file read as zeros.
 */
static int read_copy(struct cw_io *io, u32 slot, struct cw_disk_log_super *super,
		     struct cw_report *report)
{
	u64 off = slot * CW_LOG_SUPER_STRIDE;
	u64 size;
	int err = cw_size(io, &size);

	memset(super, 0, sizeof(*super));
	if (!err && !cw_outside(off, sizeof(*super), size))
		err = cw_pread(io, super, sizeof(*super), off);
	if (!err)
		return 0;
	return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			 "%s: copy %u of the superblock cannot be read (%s): cloopwck tells whether the other is enough",
			 io->name, slot, cw_error_text(err));
}

/*
 * Keeps the sound copy with the higher number. other has room for both copies
 * in turn.
 */
static int find_super(struct cw_io *io, struct cw_disk_log_super *super,
		      struct cw_disk_log_super *other, u32 *super_slot,
		      struct cw_report *report)
{
	bool found = false;
	u32 slot;

	for (slot = 0; slot < CW_LOG_SUPERS; slot++) {
		int err = read_copy(io, slot, other, report);

		if (err)
			return err;
		if (!cw_log_super_is_sound(other) ||
		    (found && cw_from_le64(other->seq) <=
				      cw_from_le64(super->seq)))
			continue;
		memcpy(super, other, sizeof(*other));
		*super_slot = slot;
		found = true;
	}
	if (found)
		return check_features(super, io->name, report);
	return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
			 "%s: truncated or damaged: neither superblock is sound",
			 io->name);
}

static int read_super(struct cw_io *io, struct cw_disk_log_super *super,
		      u32 *super_slot, struct cw_report *report)
{
	struct cw_disk_log_super *other = cw_alloc(sizeof(*other));
	int err;

	if (!other)
		return -ENOMEM;
	err = find_super(io, super, other, super_slot, report);
	cw_free(other);
	return err;
}

static bool is_frozen(const struct cw_disk_log_super *super)
{
	return cw_from_le64(super->ro_compat) & CW_LOG_RO_COMPAT_FROZEN;
}

static bool is_over_layer(const struct cw_disk_log_super *super)
{
	return cw_from_le64(super->incompat) & CW_LOG_INCOMPAT_OVER_LAYER;
}

int cw_log_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report)
{
	struct cw_disk_log_super *super = cw_alloc(sizeof(*super));
	u32 slot;
	int err;

	if (!super)
		return -ENOMEM;
	err = read_super(io, super, &slot, report);
	if (!err) {
		memcpy(id->uuid, super->uuid, CW_UUID_LEN);
		memcpy(id->below_uuid, super->base_uuid, CW_UUID_LEN);
		memcpy(id->below, super->parent, sizeof(super->parent));
		id->size = cw_from_le64(super->size);
		id->below_size = cw_log_base_size(super);
		id->over_layer = is_over_layer(super);
		id->frozen = is_frozen(super);
		/* The first writable attach writes checkpoint 2. */
		id->unused = cw_from_le64(super->seq) == 1 &&
			     !super->segments && !super->plain_pages;
	}
	cw_free(super);
	return err;
}

static int check_writable(struct cw_log *log, struct cw_report *report)
{
	u64 ro_compat = cw_from_le64(log->super->ro_compat) &
			~CW_LOG_RO_COMPAT_KNOWN;

	if (ro_compat)
		return cw_refuse(report, -EROFS, CLOOPW_R_ONLY_READABLE,
				 "%s: uses features that forbid this driver to write (feature bits %#llx): attach it read-only",
				 log->io->name, ro_compat);
	if (is_frozen(log->super))
		return cw_refuse_file(report, -EROFS, CLOOPW_R_FROZEN,
				      log->io->name);
	return 0;
}

static bool uuid_is_set(const u8 *uuid)
{
	static const u8 none[CW_UUID_LEN];

	return memcmp(uuid, none, CW_UUID_LEN);
}

static int check_kind_of_base(const struct cw_log *log,
			      const struct cw_cow_base *base,
			      struct cw_report *report)
{
	const struct cw_disk_log_super *super = log->super;

	if (is_over_layer(super) && !base->is_layer)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BASE_MISSING,
				 "%s: lies over the COW file %.256s, which is not given",
				 log->io->name, super->parent);
	if (!is_over_layer(super) && base->is_layer)
		return cw_refuse(report, -EINVAL, CLOOPW_R_OTHER_BASE,
				 "%s: was made for the image %.256s itself, and %s is a COW file",
				 log->io->name, super->parent, base->name);
	return 0;
}

static void warn_of_no_digest(const struct cw_log *log,
			      const struct cw_cow_base *base)
{
	cw_log_bad("%s: says for which UUID it was made, not for which content: has %s the same?",
		   log->io->name, base->name);
}

/*
 * An image can be built again under the UUID of another. A log that was never
 * written is bound to the content of its first attach. An older log does not
 * name the content: it is bound, too, and the kernel's log says so.
 */
static int check_digest(struct cw_log *log, const struct cw_cow_base *base,
			struct cw_report *report)
{
	struct cw_disk_log_super *super = log->super;
	u64 compat = cw_from_le64(super->compat);

	if (!base->digest)
		return 0;
	if (compat & CW_LOG_COMPAT_BASE_DIGEST) {
		if (cw_from_le64(super->base_digest) == base->digest)
			return 0;
		return cw_refuse(report, -EINVAL, CLOOPW_R_OTHER_BASE,
				 "%s: was made for %.256s, but %s has other content%s",
				 log->io->name, super->parent, base->name,
				 ", or has it in other blocks, under the same UUID");
	}
	if (cw_from_le64(super->seq) != 1)
		warn_of_no_digest(log, base);
	if (log->cow->writable) {
		super->base_digest = cw_to_le64(base->digest);
		super->compat |= cw_to_le64(CW_LOG_COMPAT_BASE_DIGEST);
	}
	return 0;
}

static int check_base(struct cw_log *log, const struct cw_cow_base *base,
		      struct cw_report *report)
{
	const struct cw_disk_log_super *super = log->super;
	u64 size = cw_log_base_size(super);
	s64 mtime = cw_from_le64(super->base_mtime);
	int err = check_kind_of_base(log, base, report);

	if (err)
		return err;
	if (size != base->size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_OTHER_BASE,
				 "%s: was made for %.256s of %llu bytes, but %s has %llu",
				 log->io->name, super->parent, size, base->name,
				 base->size);
	if (uuid_is_set(super->base_uuid)) {
		if (memcmp(super->base_uuid, base->uuid, CW_UUID_LEN))
			return cw_refuse(report, -EINVAL, CLOOPW_R_OTHER_BASE,
					 "%s: was made for %.256s, but %s is another %s (UUIDs differ)",
					 log->io->name, super->parent,
					 base->name,
					 base->is_layer ? "layer" : "image");
		return check_digest(log, base, report);
	}
	if (mtime && base->mtime && mtime != base->mtime)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BASE_MODIFIED,
				 "%s: was made for %.128s as modified at %lld, but %s was modified at %lld; if it was only copied, 'touch -d @%lld' makes it as it was",
				 log->io->name, super->parent, mtime,
				 base->name, base->mtime, mtime);
	return 0;
}

static int check_numbers(const struct cw_disk_log_super *super, u64 io_size,
			 const char *name, struct cw_report *report)
{
	u64 segments = cw_from_le64(super->segments);
	u64 size = cw_from_le64(super->size);

	if (size > CW_LOG_MAX_SIZE || size < cw_log_base_size(super) ||
	    size % CW_SECTOR_SIZE ||
	    cw_from_le64(super->gen_limit) > LOG_GEN_MAX ||
	    cw_from_le64(super->log_seq) > LOG_SEQ_MAX ||
	    cw_from_le64(super->seq) > LOG_SEQ_MAX)
		return cw_refuse(report, -EINVAL, CLOOPW_R_DAMAGED,
				 "%s: damaged: has a number that no log reaches",
				 name);
	if (segments > LOG_MAX_SEGMENTS ||
	    cw_outside(CW_LOG_START, segments << CW_LOG_SEGMENT_SHIFT, io_size))
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: %llu segments need %llu bytes, the file has %llu",
				 name, segments,
				 CW_LOG_START + (segments << CW_LOG_SEGMENT_SHIFT),
				 io_size);
	return 0;
}

static int adopt_super(struct cw_log *log, struct cw_report *report)
{
	struct cw_disk_log_super *super = log->super;
	u64 segments = cw_from_le64(super->segments);
	u64 io_size;
	u32 i;
	int err;

	err = cw_size(log->io, &io_size);
	if (!err)
		err = check_numbers(super, io_size, log->io->name, report);
	if (err)
		return err;
	log->cow->size = cw_from_le64(super->size);
	err = cw_log_map_resize(log, log->cow->size);
	if (err)
		return err;
	/* Segments that the checkpoint does not know may follow. */
	segments = cw_max(segments, (io_size - CW_LOG_START) >>
				    CW_LOG_SEGMENT_SHIFT);
	segments = cw_min(segments, LOG_MAX_SEGMENTS);
	super->compat |= cw_to_le64(CW_LOG_COMPAT_FROZEN_TWICE);
	log->super_seq = cw_from_le64(super->seq);
	log->next_gen = cw_from_le64(super->gen_limit);
	log->gen_limit = log->next_gen;
	log->limit = cw_from_le64(super->limit);
	log->max_segments = cw_log_segments_within(log->limit);
	log->plain_pages = cw_from_le64(super->plain_pages);
	for (i = 0; i < CW_LOG_MAP_ROOTS; i++)
		log->map_root_at[i] = cw_from_le64(super->map_root[i]);
	for (i = 0; i < CW_LOG_USAGE_ROOTS; i++)
		log->usage_dir_at[i] = cw_from_le64(super->usage_root[i]);
	return cw_log_segments_grow(log, segments, cw_alloc);
}

/* ---- map and usage ---- */

/*
 * Counts a page of the map in this segment, which makes the segment the map's.
 * False when the entry is impossible.
 */
static bool claim_meta(struct cw_log *log, u64 word)
{
	struct log_segment *segment;
	struct log_entry entry;

	if (!word)
		return true;
	cw_log_entry_decode(word, &entry);
	segment = cw_log_segment_at(log, entry.sector);
	if (entry.state != CW_LOG_DATA || entry.pages != 1 || !entry.sectors ||
	    !segment ||
	    entry.sector % CW_LOG_SEGMENT_SECTORS + entry.sectors >
		    CW_LOG_SEGMENT_SECTORS ||
	    segment->live + cw_log_entry_share(&entry) > LOG_SHARES)
		return false;
	log->nr_meta += segment->state != SEGMENT_META;
	log->meta_live += cw_log_entry_share(&entry);
	segment->state = SEGMENT_META;
	segment->live += cw_log_entry_share(&entry);
	return true;
}

/* Roots behind those for nr entries two levels below must be zero. */
static bool ends_after(const u64 *roots, u32 max, u64 nr)
{
	u32 i;

	for (i = cw_div_up(nr, CW_LOG_FANOUT); i < max; i++)
		if (roots[i])
			return false;
	return true;
}

/* Reads the existing pages of an array, 512 entries each. */
static int read_array(struct cw_log *log, enum cw_log_meta kind, const u64 *at,
		      u64 *entries, u32 nr)
{
	u64 *page = log->snapshot->scratch;
	u32 i, first;
	int err;

	for (i = 0; i < cw_div_up(nr, CW_LOG_FANOUT); i++) {
		first = i * CW_LOG_FANOUT;
		if (!claim_meta(log, at[i]))
			return -EIO;
		if (!at[i])
			continue;
		err = cw_log_meta_read(log, at[i], kind, i, page);
		if (err)
			return err;
		memcpy(entries + first, page,
		       cw_min(nr - first, CW_LOG_FANOUT) * sizeof(*page));
	}
	return 0;
}

static int read_map(struct cw_log *log)
{
	u32 n;
	int err;

	if (!ends_after(log->map_root_at, CW_LOG_MAP_ROOTS, log->map_dirs))
		return -EIO;
	err = read_array(log, CW_LOG_META_MAP_ROOT, log->map_root_at,
			 log->map_dir_at, log->map_dirs);
	if (!err)
		err = read_array(log, CW_LOG_META_MAP_DIR, log->map_dir_at,
				 log->map_at, log->map_pages);
	for (n = 0; !err && n < log->map_pages; n++)
		if (!claim_meta(log, log->map_at[n]))
			err = -EIO;
	return err;
}

/*
 * A segment of data without live pages is free. A segment of the map is not
 * data.
 */
static int adopt_usage(struct cw_log *log, u32 n, u64 word)
{
	struct log_segment *segment = &log->segments[n];
	u32 live = word & CW_LOG_USAGE_LIVE_MASK;

	segment->gen = word >> CW_LOG_USAGE_GEN_SHIFT;
	segment->held = live == CW_LOG_USAGE_HELD;
	segment->bad = live == CW_LOG_USAGE_BAD;
	if (segment->held || !live)
		return 0;
	if (segment->state == SEGMENT_META)
		return segment->bad ? 0 : -EIO;
	if (live > LOG_SHARES && !segment->bad)
		return -EIO;
	segment->state = SEGMENT_DATA;
	segment->live = cw_min(live, LOG_SHARES);
	log->live += segment->live;
	return 0;
}

static int read_usage(struct cw_log *log)
{
	u32 known = cw_from_le64(log->super->segments);
	u32 pages = cw_div_up(known, CW_LOG_FANOUT);
	u32 held = log->io->whole_pages ? HELD_MAX : LOG_MAX_SEGMENTS;
	u64 *usage = log->snapshot->usage;
	u32 n;
	int err;

	if (!ends_after(log->usage_dir_at, CW_LOG_USAGE_ROOTS, pages))
		return -EIO;
	if (usage) /* a new log has no segments yet */
		memset(usage, 0, log->snapshot->usage_room * sizeof(*usage));
	err = read_array(log, CW_LOG_META_USAGE_DIR, log->usage_dir_at,
			 log->usage_at, pages);
	if (!err)
		err = read_array(log, CW_LOG_META_USAGE, log->usage_at, usage,
				 known);
	for (n = 0; !err && n < known; n++)
		err = adopt_usage(log, n, usage[n]);
	/* A segment that the checkpoint does not know may have space. */
	for (; !err && n < log->nr_segments && n - known < held; n++)
		log->segments[n].held = true;
	return err;
}

/* ---- roll-forward ---- */

struct roll {
	u32 segment;
	u32 sector;
	u64 gen;
	u64 seq;
	u8 *buf; /* the whole segment */
};

/* The record at the current place, or -ENODATA when the log ends here. */
static int next_record(struct cw_log *log, struct roll *roll,
		       struct log_record *record)
{
	const u8 *at = roll->buf + roll->sector * CW_SECTOR_SIZE;
	u32 left = (CW_LOG_SEGMENT_SECTORS - roll->sector) * CW_SECTOR_SIZE;

	if (!left || cw_log_record_decode(at, left, record) ||
	    record->gen != roll->gen || record->seq != roll->seq ||
	    record->sectors > CW_LOG_SEGMENT_SECTORS - roll->sector)
		return -ENODATA;
	if (record->type != CW_LOG_PAD && cw_log_record_check(at, record))
		return -ENODATA;
	return 0;
}

static int replay(struct cw_log *log, struct roll *roll,
		  const struct log_record *record)
{
	struct log_append append = {
		.record = *record,
		.sector = cw_log_first_sector(roll->segment) + roll->sector,
	};
	int err;

	if (!cw_log_record_fits(record, log->pages))
		return -EIO;
	err = cw_log_get_map_pages(log, &append, record->type != CW_LOG_DROP);
	if (err)
		return err;
	cw_mutex_lock(&log->lock);
	cw_log_apply(log, &append);
	/* A checkpoint would have come before, so the file lies. */
	if (log->dirty_pages > LOG_DIRTY_MAX)
		err = -EIO;
	log->appended_sectors += record->sectors;
	cw_mutex_unlock(&log->lock);
	cw_log_put_map_pages(log, &append);
	return err;
}

static int read_segment(struct cw_log *log, struct roll *roll, u64 next,
			u64 gen)
{
	struct log_segment *segment;
	int err;

	if (next >= log->nr_segments)
		return -ENODATA;
	err = cw_pread(log->io, roll->buf, CW_LOG_SEGMENT_LEN,
		       cw_log_sector_offset(cw_log_first_sector(next)));
	if (err)
		return err;
	segment = &log->segments[next];
	if (segment->state == SEGMENT_META)
		return -EIO;
	roll->segment = next;
	roll->sector = 0;
	roll->gen = gen;
	return 0;
}

/*
 * A jump counts when the next segment was begun; otherwise the log ends before.
 */
static int follow_jump(struct cw_log *log, struct roll *roll,
		       const struct log_record *jump)
{
	struct log_record begin;
	struct log_segment *segment;
	int err;

	err = read_segment(log, roll, jump->from, jump->next_gen);
	if (err)
		return err;
	roll->seq++;
	if (next_record(log, roll, &begin) || begin.type != CW_LOG_SEGMENT)
		return -ENODATA;
	segment = &log->segments[roll->segment];
	if (segment->live) /* it was free, or the file lies */
		return -EIO;
	segment->state = SEGMENT_DATA;
	segment->gen = roll->gen;
	cw_log_segment_changed(log, roll->segment);
	roll->sector = 1;
	roll->seq++;
	return 0;
}

static int roll_on(struct cw_log *log, struct roll *roll)
{
	struct log_record record;
	int err;

	err = next_record(log, roll, &record);
	if (err)
		return err;
	switch (record.type) {
	case CW_LOG_JUMP:
		return follow_jump(log, roll, &record);
	case CW_LOG_WRITE:
	case CW_LOG_MOVE:
	case CW_LOG_DROP:
	case CW_LOG_WIPE:
		err = replay(log, roll, &record);
		if (err)
			return err;
		break;
	case CW_LOG_SEGMENT:
	case CW_LOG_PAD:
		break;
	default:
		return -EIO;
	}
	roll->sector += record.sectors;
	roll->seq++;
	return 0;
}

static int roll_forward(struct cw_log *log)
{
	const struct cw_disk_log_super *super = log->super;
	struct roll roll = {
		.seq = cw_from_le64(super->log_seq),
		.buf = log->clean_buf,
	};
	u32 segment = cw_from_le32(super->log_segment);
	int err;

	log->next_seq = roll.seq;
	if (segment == CW_LOG_NO_SEGMENT)
		return 0;
	err = read_segment(log, &roll, segment, cw_from_le64(super->log_gen));
	if (err)
		return err == -ENODATA ? -EIO : err;
	/*
	 * The segment is in use even without live pages, because the log goes
	 * on in it.
	 */
	log->segments[segment].state = SEGMENT_DATA;
	log->segments[segment].gen = roll.gen;
	roll.sector = cw_from_le32(super->log_sector);
	if (roll.sector > CW_LOG_SEGMENT_SECTORS)
		return -EIO;
	while (!err)
		err = roll_on(log, &roll);
	log->next_seq = roll.seq;
	return err == -ENODATA ? 0 : err;
}

/* Segments that the map, the usage and the log do not need are free. */
static void count_free(struct cw_log *log)
{
	struct log_segment *segment;
	u32 n;

	log->nr_free = 0;
	log->nr_used = 0;
	log->nr_empty = 0;
	for (n = 0; n < log->nr_segments; n++) {
		segment = &log->segments[n];
		log->nr_used += segment->state != SEGMENT_FREE;
		log->nr_empty += segment->state == SEGMENT_DATA &&
				 !segment->live;
	}
}

static void adopt_meta_position(struct cw_log *log)
{
	u32 segment = cw_from_le32(log->super->meta_segment);
	u32 sector = cw_from_le32(log->super->meta_sector);

	log->meta_segment = CW_LOG_NO_SEGMENT;
	if (segment >= log->nr_segments || sector > CW_LOG_SEGMENT_SECTORS ||
	    log->segments[segment].state != SEGMENT_META)
		return;
	log->meta_segment = segment;
	log->meta_sector = sector;
}

int cw_log_recover(struct cw_log *log, const struct cw_cow_base *base,
		   struct cw_report *report)
{
	int err;

	err = read_super(log->io, log->super, &log->super_slot, report);
	if (!err && log->cow->writable)
		err = check_writable(log, report);
	if (!err)
		err = check_base(log, base, report);
	if (!err)
		err = adopt_super(log, report);
	if (err)
		return err;
	err = cw_log_snapshot_room(log, cw_alloc);
	if (!err)
		err = read_map(log);
	if (!err)
		err = read_usage(log);
	if (!err) {
		adopt_meta_position(log);
		err = roll_forward(log);
	}
	if (err)
		return cw_refuse(report, err, CLOOPW_R_DAMAGED,
				 "%s: the map is damaged (%s): cloopwck rebuilds it from the log",
				 log->io->name, cw_error_text(err));
	count_free(log);
	log->cow->frozen = is_frozen(log->super);
	memcpy(log->cow->uuid, log->super->uuid, CW_UUID_LEN);
	return 0;
}
