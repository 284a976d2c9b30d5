/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structures of a COW log, decoded: map entries, records, superblocks. No
 * function here knows a log: checkers and tests use them, too. format.h has the
 * structures on the disk.
 */
#ifndef CLOOPW_LOG_RECORD_H
#define CLOOPW_LOG_RECORD_H

#include "../codec.h"
#include "../format.h"
#include "../workspace.h"

/* Largest number of usage pages: 4 TiB of segments. */
#define LOG_USAGE_PAGES (CW_LOG_USAGE_ROOTS * CW_LOG_FANOUT)
#define LOG_MAX_SEGMENTS (LOG_USAGE_PAGES * CW_LOG_FANOUT)
/* Generations made durable in advance, so that the log uses none twice. */
#define LOG_GEN_STEP BIT(16)
/* More than any log reaches: a file with such a number is damaged. */
#define LOG_GEN_MAX BIT_ULL(47)
#define LOG_SEQ_MAX BIT_ULL(62)

#define LOG_RECORD_MAX \
	(sizeof(struct cw_disk_log_record) + \
	 CW_LOG_EXTENT_PAGES * (sizeof(__le32) + CW_PAGE_SIZE))
#define LOG_RECORD_ROOM ((LOG_RECORD_MAX + CW_SECTOR_SIZE - 1) & ~511ul)

/* A map entry, decoded. See CW_LOG_ENTRY_*. */
struct log_entry {
	u64 sector; /* the record's first, counted from segment 0 */
	u32 index;  /* the page's index among the record's stored pages */
	u32 sectors;
	u32 pages;
	u8 codec;
	u8 state;
};

/* A record, decoded; the fields of struct cw_disk_log_record. */
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

static inline u64 cw_log_sector_offset(u64 sector)
{
	return CW_LOG_START + (sector << CW_SECTOR_SHIFT);
}

static inline u32 cw_log_segment_of(u64 sector)
{
	return sector / CW_LOG_SEGMENT_SECTORS;
}

/* The segment of a map entry that has data. */
static inline u32 cw_log_home(u64 word)
{
	return cw_log_segment_of(word & ((1ull << CW_LOG_ENTRY_SECTOR_BITS) - 1));
}

static inline u64 cw_log_first_sector(u32 segment)
{
	return (u64)segment * CW_LOG_SEGMENT_SECTORS;
}

/* Number of the map page that has this device page. */
static inline u32 cw_log_map_page_of(u64 page)
{
	return page / CW_LOG_FANOUT;
}

/* Between an entry and its word in a map page; any word decodes. */
u64 cw_log_entry_encode(const struct log_entry *entry);
void cw_log_entry_decode(u64 word, struct log_entry *entry);

/*
 * The entry for page i of a WRITE or MOVE at this sector. The record must have
 * that page.
 */
u64 cw_log_entry_for(const struct log_record *record, u64 sector, u32 i);

/* The share of one page of a record in its segment, in 1/16 sectors. */
u32 cw_log_entry_share(const struct log_entry *entry);

/*
 * Encodes a record into buf, which has LOG_RECORD_ROOM. The payload must
 * already be at cw_log_payload_at(). Pads to whole sectors, and sets the
 * record's sectors and checksum.
 */
u32 cw_log_payload_at(const struct log_record *record);
void cw_log_record_encode(u8 *buf, struct log_record *record);

/* 0 when buf (len bytes) begins with a sound header; else -EIO. */
int cw_log_record_decode(const u8 *buf, u32 len, struct log_record *record);
/* 0 when the payload is sound, too; else -EIO. buf holds all of the record. */
int cw_log_record_check(const u8 *buf, const struct log_record *record);
/* The same for one page of a record whose codec is none. */
int cw_log_page_check(const u8 *header, u32 index, const u8 *page);
/* Is this the record that the map's entry for this page means? */
bool cw_log_record_holds(const struct log_record *record,
			 const struct log_entry *entry, u64 gen, u64 page);
/* Can an append to a device of so many pages have the record's range? */
bool cw_log_record_fits(const struct log_record *record, u64 pages);
/* Writes the header alone; the payload and the checksums are there. */
void cw_log_record_put_header(u8 *buf, const struct log_record *record);
/*
 * Compresses nr pages into ws->stored, behind the place of the header.
 * Completes the record with codec, length and checksums.
 */
void cw_log_record_fill(const struct cw_codec *codec, struct cw_workspace *ws,
			const u8 *pages, u32 nr, struct log_record *record);

/*
 * Decodes the entries of a META record. buf holds all of it, and its header is
 * sound.
 */
int cw_log_meta_decode(struct cw_workspace_pool *pool, struct cw_workspace *ws,
		       const u8 *buf, const struct log_record *record,
		       u64 *entry);

/* The superblock's checksum, with its crc field as 0. */
u32 cw_log_super_crc(struct cw_disk_log_super *super);
/* True when magic and checksum are right. */
bool cw_log_super_is_sound(struct cw_disk_log_super *super);
/*
 * Makes it the superblock of a log without segments, which keeps its size and
 * settings. Later records have generations from gen_limit on and numbers from seq
 * on, so none of before can be taken for them. The caller sets number and checksum.
 */
void cw_log_super_empty(struct cw_disk_log_super *super, u64 gen_limit, u64 seq);
/* Bytes of the device below, for which the log was made. */
u64 cw_log_base_size(const struct cw_disk_log_super *super);

#endif
