/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inside of the native COW log, shared by cow_log.c and log_*.c. The crash
 * simulator includes it, too, to see that nothing waits under the log's lock.
 * docs/explain/cow-log.md says why the log is correct; read that first. A file calls
 * those below it in this list, no file above it:
 *
 *   cow_log.c         the format's operations
 *   log_view.c        looks at an opened log, for checkers
 *   log_write.c       from pages to records
 *   log_reset.c       makes the log as empty as a new one
 *   log_recover.c     attaching: superblock, map, roll-forward
 *   log_clean.c       room: growing, cleaning, giving back
 *   log_space.c       space in use, and the limit
 *   log_checkpoint.c  makes the map durable; superblocks
 *   log_flush.c       the only caller of fdatasync, for all waiting callers
 *   log_append.c      records, in order, into the current segment
 *   log_reserve.c     free segments and dirty pages that must be left
 *   log_read.c        from the map to records to pages
 *   log_map.c         the place of each page; map pages in memory
 *   log_segment.c     the segments, and what lives in them
 *   log_record.c      records, entries and superblocks, in memory and on disk
 *
 * One committer. The committer is a role, not a thread: the holder of maint
 * alone writes checkpoints and superblocks, cleans, grows and punches the file.
 * fdatasync has one caller at a time, see log_flush.c. Its first error ends the
 * log, before another caller can ask again.
 *
 * Two locks. maint is taken first. lock guards all state that changes in
 * memory. Its holders are quick and never do I/O under it. A writer may have to
 * write something ahead of its record: zeros, or the marks of a new segment. It
 * holds the place of the next record for that, see preparing: other writers
 * wait, readers do not.
 */
#ifndef CLOOPW_LOG_H
#define CLOOPW_LOG_H

#include "../cow.h"
#include "log_record.h"

/* Map pages that may differ from the last durable checkpoint. */
#define LOG_DIRTY_MAX 512u
/* Pages above map pages that cleaning adds to a checkpoint, for each array. */
#define LOG_TOUCH_MAX 32u
/* Map pages in memory, dirty ones included. */
#define LOG_CACHED_MAX 1024u
/* Shares in a segment that is full of live data. */
#define LOG_SHARES (CW_LOG_SEGMENT_SECTORS * CW_LOG_EXTENT_PAGES)
/* A checkpoint is due after so many sectors of log. */
#define LOG_CHECKPOINT_SECTORS (64u << (20 - CW_SECTOR_SHIFT))
#define LOG_PAGE_SECTORS ((u32)(CW_PAGE_SIZE / CW_SECTOR_SIZE))

/*
 * Sectors of zeros written ahead: in a log that is flushed often, and in
 * others. See zero_ahead().
 */
#define LOG_AHEAD_SECTORS 512u
#define LOG_AHEAD_SECTORS_FEW 64u
#define LOG_ZEROS_SECTORS 128u /* in one write */
/*
 * Largest block of the medium, in sectors. A larger torn block counts as
 * damage.
 */
#define LOG_BLOCK_MAX 64u
enum log_segment_state {
	SEGMENT_FREE = 0,
	SEGMENT_DATA,
	SEGMENT_META,
};

struct log_segment {
	u64 gen;      /* generation of its content */
	u32 pins;     /* readers at work in it, so it is not reused */
	u16 live;     /* shares in use */
	u16 pending;  /* META: shares that die with the next checkpoint */
	u8 state;     /* enum log_segment_state */
	bool dying;   /* freed when the running checkpoint is durable */
	bool backed;  /* FREE: its space in the file is allocated */
	/* FREE: its space may be allocated since before the attach */
	bool held;
	bool changed; /* its usage differs from the last checkpoint's */
	bool bad;     /* a record in it is damaged: never reused */
	bool filled;  /* DATA: it got data, which may be dead by now */
	bool victim;  /* META: maint: a checkpoint is to move its pages */
};

/*
 * The purpose of taking a segment. The number says how many free segments must
 * be left, besides those that checkpoints may need. See cw_log_may_take().
 */
enum log_purpose {
	LOG_FOR_BEGIN = 0, /* the first segment of a log */
	LOG_FOR_SPACE = 1, /* discards and the cleaner */
	LOG_FOR_DATA = 3,
};

/* A map page in memory. log.lock guards all of it. */
struct log_page {
	struct log_page *hash_next;
	struct log_page *lru_prev, *lru_next;
	u32 n;
	u32 pins;
	bool dirty;  /* changed since the last checkpoint's snapshot */
	bool saving; /* in a snapshot that is not durable yet */
	u64 entry[CW_LOG_FANOUT];
};

/*
 * A record on its way. The list has the record from the moment its place is
 * known. When this record and all before it are in the file, retire() takes it
 * out and changes the map. So the map changes in the order of the log, and an
 * acknowledged record has nothing unwritten before it.
 */
struct log_append {
	struct log_append *next; /* log.lock */
	struct log_record record;
	u64 sector;              /* its place */
	struct log_page *map[2]; /* pinned; the map pages it changes */
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
	u32 usage_room; /* entries in usage, a multiple of CW_LOG_FANOUT */
	u64 *usage;
	u64 scratch[CW_LOG_FANOUT]; /* a page under construction */
	u32 nr_pages;
	u32 page_n[LOG_DIRTY_MAX];
	u64 page[LOG_DIRTY_MAX][CW_LOG_FANOUT];
};

#define LOG_HASH_BITS 8

/*
 * How much cw_log_reclaim() does. DUE, after a discard: only what pays. ALL,
 * before a freeze: a checkpoint, and all free segments but those for the next
 * one are punched. LAST, at the close: the same, and no free segment is kept.
 */
enum log_reclaim { LOG_RECLAIM_DUE, LOG_RECLAIM_ALL, LOG_RECLAIM_LAST };

struct cw_log {
	struct cw_cow *cow;
	struct cw_io *io;

	/* Constant after open. */
	u64 owner;     /* its owner in the cache */
	const struct cw_codec *codec;
	u8 *zeros;     /* LOG_ZEROS_SECTORS */
	/*
	 * Sectors that the medium writes as one. A write that power cuts off
	 * may destroy all of them. See cw_log_finish_block().
	 */
	u32 block;
	/*
	 * Two pools: the first for writing data, the second for reading, map
	 * pages and the cleaner. A writer holds a workspace of the first while
	 * it waits for room, and the second makes that room. A holder of one of
	 * the second waits for nothing but I/O.
	 */
	struct cw_workspace_pool workspaces;
	struct cw_workspace_pool meta_workspaces;

	struct cw_mutex maint; /* taken before lock */
	/* maint: */
	struct cw_disk_log_super *super; /* the superblock as last written */
	u32 super_slot;                  /* the slot of that */
	u64 super_seq;
	u32 meta_segment;                /* CW_LOG_NO_SEGMENT: none is open */
	u32 meta_sector;
	struct log_snapshot *snapshot;
	u8 *clean_buf; /* one segment */

	struct cw_mutex lock;
	struct cw_cond changed; /* with lock: something below has changed */
	/* lock: */
	/* -errno: a flush failed. The log is only read from then on. */
	int failed;
	/* -errno: the log has a hole, and begins again in another segment. */
	int broken;
	/*
	 * After a hole, recovery may still find failed records, until begun
	 * again.
	 */
	bool may_return;
	bool full;  /* the last write found no room, and there was none since */
	/* -errno: making room failed for another reason than space */
	int stuck;
	u64 limit;  /* bytes that the file may have; 0: any number */
	u64 max_segments; /* segments that the file may have within the limit */
	bool begun; /* a durable checkpoint leads to segment */
	u64 next_gen;
	u64 gen_limit; /* the durable superblock's; next_gen stays below */
	u64 next_seq;
	u32 segment; /* being filled; CW_LOG_NO_SEGMENT: none */
	u32 sector;  /* the next free sector in it */
	/* sectors before this one are written, if only with zeros */
	u32 ahead;
	bool synced; /* a flush came since the last zeros ahead */
	u32 nr_making_room; /* callers of cw_log_make_room() */
	/*
	 * A thread holds the place of the next record. It writes what must come
	 * before that record, or waits for the records before it.
	 */
	bool preparing;
	/* The holder's buffer, for records without payload. */
	u8 mark_buf[CW_PAGE_SIZE] __aligned(8);
	u64 appended_sectors; /* appended since the last checkpoint */
	/* records on their way, in log order */
	struct log_append *first, *last;

	struct log_segment *segments;
	u32 nr_segments;
	u32 segment_room;
	u32 nr_free;   /* FREE, backed, not pinned and not bad */
	u32 nr_used;   /* not FREE */
	u32 nr_meta;   /* META */
	u32 nr_empty;  /* DATA without live pages */
	u32 usable_from;   /* no segment before this one can be taken */
	u32 unbacked_from; /* no free segment before this one lacks space */
	u64 live;      /* sum of live over DATA segments */
	u64 meta_live; /* sum of live over META segments */
	u64 plain_pages; /* pages of the device in this layer */

	/*
	 * Pages of the device; u32 map_pages is enough for CW_LOG_MAX_SIZE.
	 * These change with maint held, too.
	 */
	u64 pages;
	u32 map_pages; /* map pages that the device needs */
	u32 map_dirs;
	u32 map_room;     /* map_at has room for so many */
	u64 *map_at;      /* [map_pages] entries of map pages */
	u64 *map_dir_at;  /* [map_dirs] entries of directory pages */
	bool *map_dir_changed;
	u64 map_root_at[CW_LOG_MAP_ROOTS];
	bool map_root_changed[CW_LOG_MAP_ROOTS];
	u64 *usage_at;    /* [LOG_USAGE_PAGES] */
	bool *usage_changed; /* [LOG_USAGE_PAGES] not in the file yet */
	/* [LOG_USAGE_PAGES] changed since the last durable snapshot */
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
	bool flushing;          /* a thread is in fdatasync, for all who wait */
	u64 flushes_begun;
	u64 flushes_done;
};

/* The sector of the open META segment where a block begins that is empty. */
static inline u32 cw_log_next_meta_block(const struct cw_log *log)
{
	return cw_min(cw_round_up(log->meta_sector, log->block),
		      CW_LOG_SEGMENT_SECTORS);
}

/* ---- log_append.c ---- */

/*
 * Appends a record: gives it its place, writes buf there, waits for all before
 * it, and applies it to the map. Takes lock. -EAGAIN: there is no free segment,
 * or the log has not begun; call cw_log_make_room(). On other errors the map
 * is unchanged.
 */
int cw_log_append(struct cw_log *log, struct log_append *append, u8 *buf);

/*
 * Goes on in a new segment, or begins in the first. The caller holds lock,
 * which the function drops while it writes the marks. -EAGAIN: no segment can
 * be taken, or the log has moved on meanwhile.
 */
int cw_log_open_segment(struct cw_log *log, enum log_purpose purpose);

/*
 * Sectors of a segment that records may fill. The jump has a block of its own.
 */
static inline u32 cw_log_fill_end(const struct cw_log *log)
{
	return CW_LOG_SEGMENT_SECTORS - log->block;
}

/*
 * Fills the medium's current block with a PAD before an fdatasync, and waits
 * for the records that have a place. When power fails during a write to a part of
 * a block, a medium with larger blocks than a sector may lose all of it. So no
 * later record may share a block with a flushed one. The caller holds lock,
 * which the function drops meanwhile.
 */
void cw_log_finish_block(struct cw_log *log);

/* ---- log_flush.c ---- */

/*
 * On 0, all data written to the file before the call is durable, and no record
 * shares a block of the medium with later ones. An error ends the log: all
 * callers get it, later ones, too. Takes lock.
 */
int cw_log_sync(struct cw_log *log);
/* struct cw_cow_format's flush. */
int cw_log_flush(struct cw_cow *cow);
/* Ends writing, because the durable state is not known. Takes lock. */
void cw_log_fail(struct cw_log *log, int err);

/*
 * log_append.c: applies a record to the map, after an append or in
 * roll-forward. With lock held.
 */
void cw_log_apply(struct cw_log *log, struct log_append *append);

/* ---- log_segment.c ---- */

/* cw_alloc() or its like, by what the caller can do without memory. */
typedef void *(*cw_log_alloc)(size_t size);

/*
 * Makes the table at least nr segments long. With maint held; takes lock, but
 * not during the allocation. -ENOMEM: unchanged.
 */
int cw_log_segments_grow(struct cw_log *log, u32 nr, cw_log_alloc alloc);
/*
 * The other functions of log_segment.c, with lock held. NULL: out of the file.
 */
struct log_segment *cw_log_segment_at(struct cw_log *log, u64 sector);
/* An entry comes into the map (sign 1) or leaves it (-1). */
void cw_log_account(struct cw_log *log, u64 word, int sign);
/* The segment's usage differs from the last checkpoint's. */
void cw_log_segment_changed(struct cw_log *log, u32 n);
/* The segment's content or usage is wrong: the log never uses it again. */
void cw_log_segment_distrust(struct cw_log *log, u32 n);
/* The segment has space in the file and can be taken. */
void cw_log_segment_backed(struct cw_log *log, u32 n);
/*
 * Takes the first usable segment for DATA or META and gives it a new
 * generation. CW_LOG_NO_SEGMENT: there is none, or only a checkpoint makes
 * generations.
 */
u32 cw_log_take_free_segment(struct cw_log *log, u8 state);
/* Frees a used segment, whose space stays allocated. */
void cw_log_free_segment(struct cw_log *log, u32 n);
/* Frees all segments. Nothing may live in them, for the map is empty. */
void cw_log_free_all_segments(struct cw_log *log);
/* Keeps the segment from reuse until unpin, while a reader is at work in it. */
void cw_log_pin(struct cw_log *log, u32 n);
void cw_log_unpin(struct cw_log *log, u32 n);

/*
 * Generation of the oldest segment that has a record on its way, or else of the
 * current one. The map knows all of older segments. With lock held.
 */
u64 cw_log_oldest_gen(const struct cw_log *log);

/* ---- log_map.c ---- */

/*
 * Brings map page n into memory and pins it; cw_log_map_put() unpins it.
 * Without create, *out is NULL when the page does not exist, because nothing in
 * its range was ever written. Takes lock. -ENOMEM, or -EIO when the page is
 * damaged.
 */
int cw_log_map_get(struct cw_log *log, u32 n, bool create,
		   struct log_page **out);
/*
 * True when no page of [first, end) is in this layer. False: a page is, or that
 * is not known without waiting.
 */
bool cw_log_map_absent(struct cw_log *log, u64 first, u64 end);
/* Unpins the page. Takes lock. NULL is fine. */
void cw_log_map_put(struct cw_log *log, struct log_page *page);
/* With lock held: the page differs from the last checkpoint. */
void cw_log_map_dirty(struct cw_log *log, struct log_page *page);
/*
 * Pins the map pages of the record's range, at most two; cw_log_put_map_pages()
 * unpins them. create as in cw_log_map_get().
 */
int cw_log_get_map_pages(struct cw_log *log, struct log_append *append,
			 bool create);
void cw_log_put_map_pages(struct cw_log *log, struct log_append *append);
/*
 * The map leads to a device of so many bytes from now on. With maint held;
 * takes lock, but not during the allocation. -ENOMEM: unchanged. To make a map
 * shorter needs no memory, and nothing may be in its end.
 */
int cw_log_map_resize(struct cw_log *log, u64 size);
/* With lock held: no page of the device is in this layer any more. */
void cw_log_map_clear(struct cw_log *log);
/* Frees all map pages. Nobody may use the log any more. */
void cw_log_map_destroy(struct cw_log *log);

/* Reads a META record into 512 host-order entries. -EIO when it is another. */
int cw_log_meta_read(struct cw_log *log, u64 word, enum cw_log_meta kind,
		     u64 number, u64 *entry);

/* ---- log_reserve.c: with lock held, if not said otherwise ---- */

/* Segments that the live data fills. */
u32 cw_log_live_segments(struct cw_log *log);
/* Segments that the next checkpoint may need, with so many more dirty pages. */
u32 cw_log_checkpoint_need(struct cw_log *log, u32 more);
/*
 * The most segments that a checkpoint may need: a writer that would change more
 * of the map waits for a checkpoint.
 */
u32 cw_log_checkpoint_most(struct cw_log *log);
/* Free segments that checkpoints may need. */
u32 cw_log_meta_reserve(struct cw_log *log);
/* The same, with those that this purpose must leave. */
u32 cw_log_reserve(struct cw_log *log, enum log_purpose purpose);
/* May a free segment be taken now? */
bool cw_log_may_take(struct cw_log *log, enum log_purpose purpose);
/* May data go into the rest of the current segment? */
bool cw_log_may_fill(struct cw_log *log);

/*
 * May two more pages become dirty? A checkpoint must be possible for them and
 * all others.
 */
bool cw_log_may_get_dirty(struct cw_log *log, bool maint_held);
/* Reserves room for two more dirty pages, if there is some. Takes lock. */
bool cw_log_reserve_dirty(struct cw_log *log, bool maint_held);
/* Waits for other writers, if that helps; false: it does not. Takes lock. */
bool cw_log_wait_for_reserved(struct cw_log *log);
/* Undoes cw_log_reserve_dirty(). Takes lock. */
void cw_log_give_up_room(struct cw_log *log);
/* Unpins the map pages, and gives up the room. Takes lock. */
void cw_log_finish(struct cw_log *log, struct log_append *append);

/* ---- log_checkpoint.c ---- */

/*
 * Writes a checkpoint. With maint held; takes lock. Records acknowledged before
 * the call become durable, too. On error all that the previous
 * checkpoint needs is still there.
 */
int cw_log_checkpoint(struct cw_log *log);
/* Room for the usage in the snapshot. Call it when there are more segments. */
int cw_log_snapshot_room(struct cw_log *log, cw_log_alloc alloc);
/*
 * Makes the changes in log->super durable, without a checkpoint. With maint
 * held.
 */
int cw_log_rewrite_super(struct cw_log *log);
/* struct cw_cow_format's freeze; takes maint. */
int cw_log_freeze(struct cw_log *log, const u8 *uuid);

/* ---- log_recover.c ---- */

/* struct cw_cow_format's identify. */
int cw_log_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report);
/*
 * Fills a new log from the file: superblock, map, usage, and the records since
 * the checkpoint. Writes nothing. On error the report says why, and the caller
 * destroys the log.
 */
int cw_log_recover(struct cw_log *log, const struct cw_cow_base *base,
		   struct cw_report *report);

/* ---- log_clean.c ---- */

/*
 * After -EAGAIN: returns 0 when the caller may try again, or -errno, such as
 * -ENOSPC. Takes maint.
 */
int cw_log_make_room(struct cw_log *log, enum log_purpose purpose);

/* Does a durable checkpoint lead to the log's first segment? Takes the lock. */
bool cw_log_has_begun(struct cw_log *log);

/*
 * Writes a checkpoint, cleans when the file is too large for its live data, and
 * punches free segments: see enum log_reclaim. Takes maint. 0 in a log that has
 * not begun.
 */
int cw_log_reclaim(struct cw_log *log, enum log_reclaim how);
/* struct cw_cow_format's give_back; takes maint. */
void cw_log_give_back(struct cw_cow *cow);
/* Writes a checkpoint when enough was appended. Takes maint. */
void cw_log_checkpoint_if_due(struct cw_log *log);

/* struct cw_cow_format's tend. */
void cw_log_tend(struct cw_cow *cow);

/* ---- log_space.c ---- */

/* struct cw_cow_format's space and set_limit; set_limit takes maint. */
void cw_log_space(struct cw_cow *cow, struct cw_cow_space *space);
int cw_log_set_limit(struct cw_cow *cow, u64 bytes);
/* struct cw_cow_format's grow; takes maint. */
int cw_log_grow(struct cw_cow *cow, u64 size);
/* Segments that fit a file of so many bytes; 0: the most that a log has. */
u64 cw_log_segments_within(u64 limit);
/* Notes the result of a write: -ENOSPC makes the log full. */
void cw_log_note_result(struct cw_log *log, int err);

/* ---- log_read.c: the operations of struct cw_cow_format ---- */

int cw_log_read(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n);
int cw_log_block_status(struct cw_cow *cow, u64 off, u64 len, u64 *n);
int cw_log_locate(struct cw_cow *cow, u64 off, u32 len, u64 *pos);

/* ---- log_reset.c ---- */

/* struct cw_cow_format's reset; takes maint. */
int cw_log_reset(struct cw_cow *cow);

/* ---- log_write.c ---- */

/* The operations of struct cw_cow_format. */
int cw_log_write(struct cw_cow *cow, u64 off, u32 len, const void *buf);
int cw_log_zero(struct cw_cow *cow, u64 off, u64 len);
int cw_log_discard(struct cw_cow *cow, u64 off, u64 len);

#endif
