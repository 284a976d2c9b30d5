/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The native COW log, inside: shared by cow_log.c and log_*.c only.
 * docs/cow-log.md says why it is correct; read that first.
 *
 *   cow_log.c         the format's operations
 *   log_write.c       from pages to records
 *   log_read.c        from the map to records to pages
 *   log_append.c      records, in order, into the current segment
 *   log_flush.c       the only caller of fdatasync, for all who wait for one
 *   log_segment.c     which segments there are, what lives in them
 *   log_map.c         where each page is; map pages in memory
 *   log_checkpoint.c  making the map durable; superblocks
 *   log_recover.c     attaching: superblock, map, roll-forward
 *   log_clean.c       room: growing, cleaning, giving back
 *   log_space.c       how much there is, and the limit
 *
 * One committer. It is a role, not a thread: the holder of maint alone writes
 * checkpoints and superblocks, cleans, grows and punches the file. fdatasync has
 * one caller at a time, see log_flush.c, and an error of it ends the log before
 * anybody else can ask again.
 *
 * Two locks. maint is taken first. lock guards all that changes in memory; it
 * is held for short and never over I/O. A writer that has to write something
 * ahead of its record (zeros, the marks of a new segment) holds the place of
 * the next record for that, see preparing: other writers wait, readers do not.
 */
#ifndef CLOOPW_LOG_H
#define CLOOPW_LOG_H

#include "../cow.h"
#include "../format.h"

/* Map pages that may differ from the last durable checkpoint. */
#define LOG_DIRTY_MAX 512u
/* Map pages in memory, dirty ones included. */
#define LOG_CACHED_MAX 1024u
/* Usage pages a file can have: 4 TiB of segments. */
#define LOG_USAGE_PAGES (CW_LOG_USAGE_ROOTS * CW_LOG_FANOUT)
#define LOG_MAX_SEGMENTS (LOG_USAGE_PAGES * CW_LOG_FANOUT)
/* Shares in a segment that is full of live data. */
#define LOG_SHARES (CW_LOG_SEGMENT_SECTORS * CW_LOG_EXTENT_PAGES)
/* A checkpoint is due after so many sectors of log. */
#define LOG_CHECKPOINT_SECTORS (64u << (20 - CW_SECTOR_SHIFT))
#define LOG_PAGE_SECTORS ((u32)(CW_PAGE_SIZE / CW_SECTOR_SIZE))

/* Zeros written ahead: of a log that is flushed often, of others. See zero_ahead(). */
#define LOG_AHEAD_SECTORS 512u
#define LOG_AHEAD_SECTORS_FEW 64u
#define LOG_ZEROS_SECTORS 128u /* at once */
/* Generations made durable in advance, so that none is used twice. */
#define LOG_GEN_STEP (1u << 16)
/* Of the medium's blocks, in sectors; with larger ones a torn one is damage. */
#define LOG_BLOCK_MAX 64u
/* More than any log reaches; a file that says so lies. */
#define LOG_GEN_MAX (1ull << 47)
#define LOG_SEQ_MAX (1ull << 62)

#define LOG_RECORD_MAX \
	(sizeof(struct cw_disk_log_record) + \
	 CW_LOG_EXTENT_PAGES * (sizeof(__le32) + CW_PAGE_SIZE))
#define LOG_RECORD_ROOM ((LOG_RECORD_MAX + CW_SECTOR_SIZE - 1) & ~511ul)

enum log_segment_state {
	SEGMENT_FREE = 0,
	SEGMENT_DATA,
	SEGMENT_META,
};

struct log_segment {
	u64 gen;      /* of what is in it */
	u32 pins;     /* readers at work in it; it is not reused meanwhile */
	u16 live;     /* shares in use */
	u16 pending;  /* META: shares that die with the next checkpoint */
	u8 state;     /* enum log_segment_state */
	bool dying;   /* free once the running checkpoint is durable */
	bool backed;  /* FREE: its space in the file is allocated */
	bool held;    /* FREE: may be so, from before the attach */
	bool changed; /* its usage differs from the last checkpoint's */
	bool bad;     /* a record in it cannot be read: never reused */
	bool filled;  /* DATA: data was put into it, if only to die since */
	bool victim;  /* META: maint: its pages are to be moved */
};

/*
 * What a segment is taken for, and so how many must be left besides those
 * that checkpoints may need. See cw_log_may_take().
 */
enum log_purpose {
	LOG_FOR_BEGIN = 0, /* the first segment of a log */
	LOG_FOR_SPACE = 1, /* discards and the cleaner */
	LOG_FOR_DATA = 3,
};

/* A map entry, decoded. See CW_LOG_ENTRY_*. */
struct log_entry {
	u64 sector; /* of the record, from segment 0 */
	u32 index;  /* of the page among the record's stored pages */
	u32 sectors;
	u32 pages;
	u8 codec;
	u8 state;
};

/* A map page in memory. All under log.lock. */
struct log_page {
	struct log_page *hash_next;
	struct log_page *lru_prev, *lru_next;
	u32 n;
	u32 pins;
	bool dirty;  /* changed since the last checkpoint's snapshot */
	bool saving; /* in a snapshot that is not durable yet */
	u64 entry[CW_LOG_FANOUT];
};

/* What a record does, decoded; fields as in struct cw_disk_log_record. */
struct log_record {
	u64 gen;
	u64 seq;
	u64 page;
	u32 pages;
	u32 stored;
	u32 payload_crc;
	u8 type;
	u8 codec;
	u16 data_mask;
	u16 zero_mask;
	u32 sectors;
	u64 from;
	u64 next_gen;
};

/*
 * A record on its way. In the list from the moment its place is known until
 * it and all before it are in the file; then the map learns of it. So the map
 * changes in the order of the log, and what is acknowledged has nothing
 * unwritten before it.
 */
struct log_append {
	struct log_append *next; /* log.lock */
	struct log_record record;
	u64 sector;              /* where it goes */
	struct log_page *map[2]; /* pinned; what it changes */
	struct cw_cond done;     /* with log.lock: retired */
	bool written;            /* log.lock */
	bool retired;            /* log.lock */
	enum log_purpose purpose;
	int err;                 /* log.lock */
};

/* The state of the map at one moment, for a checkpoint. */
struct log_snapshot {
	u64 log_gen, log_seq;
	u32 log_segment, log_sector;
	u64 appended_sectors;
	u64 plain_pages;
	u64 limit;
	u32 nr_segments;
	u32 usage_room; /* in usage, a multiple of CW_LOG_FANOUT */
	u64 *usage;
	u64 scratch[CW_LOG_FANOUT]; /* one page being put together */
	u32 nr_pages;
	u32 page_n[LOG_DIRTY_MAX];
	u64 page[LOG_DIRTY_MAX][CW_LOG_FANOUT];
};

#define LOG_HASH_BITS 8

/* What is dead becomes free: where much is, all, and at the end of its use. */
enum log_reclaim { LOG_RECLAIM_DUE, LOG_RECLAIM_ALL, LOG_RECLAIM_LAST };

struct cw_log {
	struct cw_cow *cow;
	struct cw_io *io;

	/* Constant after open. */
	u64 pages;     /* of the device, at most CW_LOG_MAX_SIZE: these fit */
	u32 map_pages; /* that the device needs */
	u32 map_dirs;
	u64 owner;     /* in the cluster cache */
	const struct cw_codec *codec;
	u8 *zeros;     /* LOG_ZEROS_SECTORS */
	/*
	 * Sectors that the medium writes as one: a write that power cuts off may
	 * destroy all of them. See cw_log_finish_block().
	 */
	u32 block;
	/*
	 * For writing data; and for reading, map pages and the cleaner, apart,
	 * because a writer holds one of the first while it waits for room, and
	 * room is made with the second. Who holds one of the second waits for
	 * nothing but I/O.
	 */
	struct cw_workspace_pool workspaces;
	struct cw_workspace_pool meta_workspaces;

	struct cw_mutex maint; /* before lock */
	/* maint: */
	struct cw_disk_log_super *super; /* as last written */
	u32 super_slot;                  /* where that is */
	u64 super_seq;
	u32 meta_segment;                /* CW_LOG_NO_SEGMENT: none is open */
	u32 meta_sector;
	struct log_snapshot *snapshot;
	u8 *clean_buf; /* one segment */

	struct cw_mutex lock;
	struct cw_cond changed; /* with lock: something below has changed */
	/* lock: */
	/* -errno: a flush failed; nothing is written any more, only read */
	int failed;
	/* -errno: the log has a hole, and begins again elsewhere */
	int broken;
	/* So records that failed may be found again, until it has begun again. */
	bool may_return;
	bool full;  /* the last write found no room, and there was none since */
	int stuck;  /* -errno: making room failed, but not for want of space */
	u64 limit;  /* bytes the file may have; 0: any number */
	u64 max_segments; /* that it may have for that */
	bool begun; /* there is a durable checkpoint that leads to segment */
	u64 next_gen;
	u64 gen_limit; /* the durable superblock's; next_gen stays below */
	u64 next_seq;
	u32 segment; /* being filled; CW_LOG_NO_SEGMENT: none */
	u32 sector;  /* next free one in it */
	u32 ahead;   /* before this one it is written, if only with zeros */
	bool synced; /* a flush was asked for since zeros were written */
	/*
	 * Somebody has the place of the next record for himself and writes what
	 * must be there before it, or waits for the records before it.
	 */
	bool preparing;
	/* Of that one: for records without payload. */
	u8 mark_buf[CW_PAGE_SIZE] __attribute__((aligned(8)));
	u64 appended_sectors; /* since the last checkpoint */
	struct log_append *first, *last; /* on their way, in log order */

	struct log_segment *segments;
	u32 nr_segments;
	u32 segment_room;
	u32 nr_free;   /* FREE, backed, not pinned and not bad */
	u32 nr_used;   /* not FREE */
	u32 nr_meta;   /* META */
	u32 nr_empty;  /* DATA in which nothing lives */
	u32 usable_from;   /* no segment before this can be taken */
	u32 unbacked_from; /* no free one before this is without space */
	u64 live;      /* sum of live over DATA segments */
	u64 meta_live; /* sum of live over META segments */
	u64 plain_pages; /* that this layer holds */

	u64 *map_at;      /* [map_pages] entries of map pages */
	u64 *map_dir_at;  /* [map_dirs] entries of directory pages */
	bool *map_dir_changed;
	u64 map_root_at[CW_LOG_MAP_ROOTS];
	bool map_root_changed[CW_LOG_MAP_ROOTS];
	u64 *usage_at;    /* [LOG_USAGE_PAGES] */
	bool *usage_changed; /* [LOG_USAGE_PAGES] to be written */
	/* [LOG_USAGE_PAGES] since the last snapshot that is durable */
	bool *usage_touched;
	u32 nr_usage_touched;
	u64 usage_dir_at[CW_LOG_USAGE_ROOTS];
	bool usage_dir_changed[CW_LOG_USAGE_ROOTS];

	struct log_page *hash[1u << LOG_HASH_BITS];
	struct log_page lru; /* list head; pages without pins, oldest first */
	u32 cached_pages;
	u32 dirty_pages;    /* dirty or saving */
	u32 reserved_pages; /* may become dirty by appends on their way */

	struct cw_cond flushed; /* with lock: flushes_done or failed */
	bool flushing;          /* somebody is in fdatasync, for all who wait */
	u64 flushes_begun;
	u64 flushes_done;
};

static inline u64 log_sector_offset(u64 sector)
{
	return CW_LOG_START + (sector << CW_SECTOR_SHIFT);
}

static inline u32 log_segment_of(u64 sector)
{
	return sector / CW_LOG_SEGMENT_SECTORS;
}

/* The segment that a map entry with data refers to. */
static inline u32 log_home(u64 word)
{
	return log_segment_of(word & ((1ull << CW_LOG_ENTRY_SECTOR_BITS) - 1));
}

static inline u64 log_first_sector(u32 segment)
{
	return (u64)segment * CW_LOG_SEGMENT_SECTORS;
}

/* ---- log_append.c ---- */

u64 cw_log_entry_encode(const struct log_entry *entry);
void cw_log_entry_decode(u64 word, struct log_entry *entry);

/* For page i of a WRITE or MOVE that is at this sector; it has that page. */
u64 cw_log_entry_for(const struct log_record *record, u64 sector, u32 i);

/* What one page of a record counts in its segment, in 1/16 sectors. */
u32 cw_log_entry_share(const struct log_entry *entry);

/*
 * Header and payload in buf, room for LOG_RECORD_ROOM. The payload must be at
 * cw_log_payload_at(); pads to whole sectors. record gets sectors and crcs.
 */
u32 cw_log_payload_at(const struct log_record *record);
void cw_log_record_encode(u8 *buf, struct log_record *record);

/* 0 when buf begins with a sound header; len: bytes in buf. */
int cw_log_record_decode(const u8 *buf, u32 len, struct log_record *record);
/* 0 when the payload, too, is what was written. buf holds all of it. */
int cw_log_record_check(const u8 *buf, const struct log_record *record);
/* The same for one page of a record whose codec is none. */
int cw_log_page_check(const u8 *header, u32 index, const u8 *page);
/* Is it the one that an entry of the map for this page speaks of? */
bool cw_log_record_holds(const struct log_record *record,
			 const struct log_entry *entry, u64 gen, u64 page);
/* Is its range one that an append to a device of so many pages can have? */
bool cw_log_record_fits(const struct log_record *record, u64 pages);
/*
 * Appends: gives append its place, writes buf there, waits for all before it,
 * applies it to the map. -EAGAIN when there is no free segment: make room.
 */
int cw_log_append(struct cw_log *log, struct log_append *append, u8 *buf);

/*
 * Goes on in a new segment, or begins in the first. With lock held, which it
 * drops while it writes the marks. -EAGAIN: no segment can be taken, or the log
 * has moved on meanwhile.
 */
int cw_log_open_segment(struct cw_log *log, enum log_purpose purpose);

/* Sectors of a segment that records may fill: the jump has a block of its own. */
static inline u32 cw_log_fill_end(const struct cw_log *log)
{
	return CW_LOG_SEGMENT_SECTORS - log->block;
}

/*
 * Before an fdatasync. A medium that writes blocks of more than a sector may lose
 * all of one when power fails while a part of it is written. So no record to come
 * will be in the block in which the last one ends: a PAD fills it up. Records that
 * have a place in it are waited for. With lock held, which it drops meanwhile.
 */
void cw_log_finish_block(struct cw_log *log);

/* ---- log_flush.c ---- */

/*
 * When it returns 0 all that was written to the file before the call is
 * durable, and no record shares a block of the medium with what comes later.
 * An error ends the log: all callers get it, those to come, too.
 */
int cw_log_sync(struct cw_log *log);
/* As struct cw_cow_format's. */
int cw_log_flush(struct cw_cow *cow);

/* Applies a record to the map: after an append, and when rolling forward. */
void cw_log_apply(struct cw_log *log, struct log_append *append);

/* ---- log_segment.c ---- */

/* cw_alloc() and its like: what the caller is without the memory. */
typedef void *(*cw_log_alloc)(size_t size);

/* With maint held; takes lock, but not while it allocates memory. */
int cw_log_segments_grow(struct cw_log *log, u32 nr, cw_log_alloc alloc);
/* All others with lock held. */
struct log_segment *cw_log_segment_at(struct cw_log *log, u64 sector);
void cw_log_account(struct cw_log *log, u64 word, int sign);
void cw_log_segment_changed(struct cw_log *log, u32 n);
/* What is in it is not as it should be: it is never used again. */
void cw_log_segment_distrust(struct cw_log *log, u32 n);
/* It has space in the file and can be taken. */
void cw_log_segment_backed(struct cw_log *log, u32 n);
u32 cw_log_take_free_segment(struct cw_log *log, u8 state);
void cw_log_free_segment(struct cw_log *log, u32 n);
void cw_log_pin(struct cw_log *log, u32 n);
void cw_log_unpin(struct cw_log *log, u32 n);

/* ---- log_map.c ---- */

u32 cw_log_map_page_of(u64 page);

/*
 * Brings map page n into memory and pins it. *out NULL: it does not exist
 * (nothing in its range was ever written), unless create is set.
 */
int cw_log_map_get(struct cw_log *log, u32 n, bool create,
		   struct log_page **out);
/* No page of [first, end) is in this layer; false: unknown without waiting. */
bool cw_log_map_absent(struct cw_log *log, u64 first, u64 end);
void cw_log_map_put(struct cw_log *log, struct log_page *page);
/* With lock held: the page will differ from the last checkpoint. */
void cw_log_map_dirty(struct cw_log *log, struct log_page *page);
void cw_log_map_destroy(struct cw_log *log);

/* Reads a META record into 512 host-order entries. */
int cw_log_meta_read(struct cw_log *log, u64 word, enum cw_log_meta kind,
		     u64 number, u64 *entry);

/* The entries in a META record; buf holds all of it, the header is sound. */
int cw_log_meta_decode(struct cw_workspace_pool *pool, struct cw_workspace *ws,
		       const u8 *buf, const struct log_record *record,
		       u64 *entry);

/* ---- log_checkpoint.c ---- */

/* With maint held. Makes all that is acknowledged durable, too. */
int cw_log_checkpoint(struct cw_log *log);
/* Segments that the next one may need, with so many more dirty pages. */
u32 cw_log_checkpoint_need(struct cw_log *log, u32 more); /* with lock held */
/* Whenever there are more segments: room for their usage in the snapshot. */
int cw_log_snapshot_room(struct cw_log *log, cw_log_alloc alloc);
u32 cw_log_super_crc(struct cw_disk_log_super *super);
/* With maint held. Makes what was changed in log->super durable, alone. */
int cw_log_rewrite_super(struct cw_log *log);
/* As struct cw_cow_format's; takes maint. */
int cw_log_freeze(struct cw_log *log, const u8 *uuid);

/* ---- log_recover.c ---- */

/* Magic and checksum are right. */
bool cw_log_super_is_sound(struct cw_disk_log_super *super);
int cw_log_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report);
int cw_log_recover(struct cw_log *log, const struct cw_cow_base *base,
		   struct cw_report *report);

/* ---- log_clean.c ---- */

/* May a free segment be taken now? With lock held. */
bool cw_log_may_take(struct cw_log *log, enum log_purpose purpose);
/* May data go into what is left of the current one? With lock held. */
bool cw_log_may_fill(struct cw_log *log);
/* Segments that a checkpoint may need at most. With lock held. */
u32 cw_log_checkpoint_most(struct cw_log *log);

/*
 * Of a segment that log records are in, or the one that is being filled: what
 * is in older ones is all in the map. With lock held.
 */
u64 cw_log_oldest_gen(const struct cw_log *log);

/* Free segments that data does not get. With lock held. */
u32 cw_log_reserve(struct cw_log *log);

/* After -EAGAIN: returns when it may be tried again, or -ENOSPC. */
int cw_log_make_room(struct cw_log *log, enum log_purpose purpose);

/*
 * A checkpoint when one is due, cleaning when the file has become too large
 * for what lives in it, holes for what is free.
 */
int cw_log_reclaim(struct cw_log *log, enum log_reclaim how);
void cw_log_checkpoint_if_due(struct cw_log *log);

/* As struct cw_cow_format's. */
void cw_log_tend(struct cw_cow *cow);

/* ---- log_space.c ---- */

void cw_log_space(struct cw_cow *cow, struct cw_cow_space *space);
int cw_log_set_limit(struct cw_cow *cow, u64 bytes);
/* Segments that fit a file of so many bytes; 0: any number. */
u64 cw_log_segments_within(u64 limit);
/* A write ended with that. */
void cw_log_note_result(struct cw_log *log, int err);

/* ---- log_read.c: as struct cw_cow_format's ---- */

int cw_log_read(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n);
int cw_log_where(struct cw_cow *cow, u64 off, u64 len, u64 *n);
int cw_log_locate(struct cw_cow *cow, u64 off, u32 len, u64 *pos);

/* ---- log_write.c ---- */

/* As struct cw_cow_format's. */
int cw_log_write(struct cw_cow *cow, u64 off, u32 len, const void *buf);
int cw_log_zero(struct cw_cow *cow, u64 off, u64 len);
int cw_log_discard(struct cw_cow *cow, u64 off, u64 len);

/*
 * Pins the map pages that [page, page + pages) needs, at most two, and keeps
 * room for them to become dirty, with a checkpoint if that is what it takes.
 * create as in cw_log_map_get().
 */
int cw_log_prepare(struct cw_log *log, struct log_append *append, bool create);
void cw_log_finish(struct cw_log *log, struct log_append *append);

/* The two halves of it: keeping room, and the map pages. */
int cw_log_keep_room(struct cw_log *log, bool maint_held);
void cw_log_give_up_room(struct cw_log *log);
int cw_log_get_map_pages(struct cw_log *log, struct log_append *append,
			 bool create);
void cw_log_put_map_pages(struct cw_log *log, struct log_append *append);

/*
 * Compresses nr pages into ws->stored behind the place for the header, and
 * completes the record with codec, length and checksums.
 */
void cw_log_fill_record(struct cw_log *log, struct cw_workspace *ws,
			const u8 *pages, u32 nr, struct log_record *record);

#endif
