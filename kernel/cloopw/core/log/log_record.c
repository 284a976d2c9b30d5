// SPDX-License-Identifier: GPL-2.0
/* The structures of a COW log: decoded, checked and encoded. */
#include "log_record.h"

/* ---- entries of the map ---- */

u64 cw_log_entry_encode(const struct log_entry *entry)
{
	return entry->sector |
	       (u64)entry->index << CW_LOG_ENTRY_INDEX_SHIFT |
	       (u64)entry->sectors << CW_LOG_ENTRY_SECTORS_SHIFT |
	       (u64)entry->codec << CW_LOG_ENTRY_CODEC_SHIFT |
	       (u64)(entry->pages - 1) << CW_LOG_ENTRY_PAGES_SHIFT |
	       (u64)entry->state << CW_LOG_ENTRY_STATE_SHIFT;
}

void cw_log_entry_decode(u64 word, struct log_entry *entry)
{
	*entry = (struct log_entry){
		.sector = word & ((1ull << CW_LOG_ENTRY_SECTOR_BITS) - 1),
		.index = (word >> CW_LOG_ENTRY_INDEX_SHIFT) & 0xf,
		.sectors = (word >> CW_LOG_ENTRY_SECTORS_SHIFT) & 0xff,
		.codec = (word >> CW_LOG_ENTRY_CODEC_SHIFT) & 0xf,
		.pages = ((word >> CW_LOG_ENTRY_PAGES_SHIFT) & 0xf) + 1,
		.state = word >> CW_LOG_ENTRY_STATE_SHIFT,
	};
}

u32 cw_log_entry_share(const struct log_entry *entry)
{
	return entry->sectors * CW_LOG_EXTENT_PAGES / entry->pages;
}

u64 cw_log_entry_for(const struct log_record *record, u64 sector, u32 i)
{
	u32 bit = 1u << i;
	struct log_entry entry = {
		.sector = sector,
		.index = cw_popcount(record->data_mask & (bit - 1)),
		.sectors = record->sectors,
		.pages = cw_popcount(record->data_mask),
		.codec = record->codec,
		.state = CW_LOG_DATA,
	};

	if (record->data_mask & bit)
		return cw_log_entry_encode(&entry);
	return (u64)CW_LOG_ZERO << CW_LOG_ENTRY_STATE_SHIFT;
}

/* ---- records ---- */

static bool has_page_crcs(const struct log_record *record)
{
	return record->codec == CW_CODEC_NONE &&
	       (record->type == CW_LOG_WRITE || record->type == CW_LOG_MOVE);
}

u32 cw_log_payload_at(const struct log_record *record)
{
	u32 at = sizeof(struct cw_disk_log_record);

	if (has_page_crcs(record))
		at += cw_popcount(record->data_mask) * sizeof(__le32);
	return at;
}

/* The header's crc, which counts itself as 0. */
static u32 header_crc(const u8 *buf, const struct log_record *record)
{
	u8 copy[sizeof(struct cw_disk_log_record) +
		CW_LOG_EXTENT_PAGES * sizeof(__le32)];
	u32 len = cw_log_payload_at(record);

	memcpy(copy, buf, len);
	memset(copy + __builtin_offsetof(struct cw_disk_log_record, header_crc),
	       0, sizeof(__le32));
	return cw_crc32c(copy, len);
}

void cw_log_record_put_header(u8 *buf, const struct log_record *record)
{
	struct cw_disk_log_record *disk = (void *)buf;

	*disk = (struct cw_disk_log_record){
		.magic = cw_to_le32(CW_LOG_RECORD_MAGIC),
		.gen = cw_to_le64(record->gen),
		.seq = cw_to_le64(record->seq),
		.page = cw_to_le64(record->page),
		.pages = cw_to_le32(record->pages),
		.stored = cw_to_le32(record->stored),
		.payload_crc = cw_to_le32(record->payload_crc),
		.type = record->type,
		.codec = record->codec,
		.data_mask = cw_to_le16(record->data_mask),
		.zero_mask = cw_to_le16(record->zero_mask),
		.sectors = cw_to_le16(record->sectors),
		.from = cw_to_le64(record->from),
		.next_gen = cw_to_le64(record->next_gen),
	};
	disk->header_crc = cw_to_le32(header_crc(buf, record));
}

void cw_log_record_encode(u8 *buf, struct log_record *record)
{
	__le32 *page_crc = (void *)(buf + sizeof(struct cw_disk_log_record));
	u32 at = cw_log_payload_at(record);
	u32 end = at + record->stored;
	u32 i;

	record->sectors = cw_div_up(end, CW_SECTOR_SIZE);
	memset(buf + end, 0, record->sectors * CW_SECTOR_SIZE - end);
	record->payload_crc = 0;
	if (!has_page_crcs(record)) {
		record->payload_crc = cw_crc32c(buf + at, record->stored);
	} else {
		for (i = 0; i < record->stored / CW_PAGE_SIZE; i++) {
			const u8 *page = buf + at + i * CW_PAGE_SIZE;

			page_crc[i] = cw_to_le32(cw_crc32c(page, CW_PAGE_SIZE));
		}
	}
	cw_log_record_put_header(buf, record);
}

void cw_log_record_fill(const struct cw_codec *codec, struct cw_workspace *ws,
			const u8 *pages, u32 nr, struct log_record *record)
{
	u32 len = nr * CW_PAGE_SIZE;
	u32 plain_sectors, cap;
	int stored;
	u8 *to;

	record->codec = codec->id;
	plain_sectors = cw_div_up(sizeof(struct cw_disk_log_record) +
				  nr * sizeof(__le32) + len, CW_SECTOR_SIZE);
	/* Compression is worth it when it saves a sector. */
	cap = (plain_sectors - 1) * CW_SECTOR_SIZE -
	      sizeof(struct cw_disk_log_record);
	stored = codec->compress(ws->ctx[record->codec],
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

/* The fields must agree with each other before anything relies on them. */
static bool is_plausible(const struct log_record *record)
{
	u32 stored_pages = cw_popcount(record->data_mask);

	if (!record->sectors || record->sectors > CW_LOG_SEGMENT_SECTORS ||
	    record->codec >= CW_CODEC_IDS)
		return false;
	if (record->type == CW_LOG_PAD)
		return true;
	if (record->stored > CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE ||
	    cw_div_up(cw_log_payload_at(record) + record->stored, CW_SECTOR_SIZE) !=
		    record->sectors)
		return false;
	if (record->type == CW_LOG_DROP || record->type == CW_LOG_WIPE)
		return record->pages && record->pages <= CW_LOG_FANOUT;
	if (record->type != CW_LOG_WRITE && record->type != CW_LOG_MOVE)
		return true;
	return record->pages && record->pages <= CW_LOG_EXTENT_PAGES &&
	       !(record->data_mask & record->zero_mask) &&
	       !((record->data_mask | record->zero_mask) >> record->pages) &&
	       !record->stored == !stored_pages &&
	       (record->codec != CW_CODEC_NONE ||
		record->stored == stored_pages * CW_PAGE_SIZE);
}

int cw_log_record_decode(const u8 *buf, u32 len, struct log_record *record)
{
	struct cw_disk_log_record disk;

	if (len < CW_SECTOR_SIZE)
		return -EIO;
	memcpy(&disk, buf, sizeof(disk));
	if (cw_from_le32(disk.magic) != CW_LOG_RECORD_MAGIC)
		return -EIO;
	*record = (struct log_record){
		.gen = cw_from_le64(disk.gen),
		.seq = cw_from_le64(disk.seq),
		.page = cw_from_le64(disk.page),
		.pages = cw_from_le32(disk.pages),
		.stored = cw_from_le32(disk.stored),
		.payload_crc = cw_from_le32(disk.payload_crc),
		.type = disk.type,
		.codec = disk.codec,
		.data_mask = cw_from_le16(disk.data_mask),
		.zero_mask = cw_from_le16(disk.zero_mask),
		.sectors = cw_from_le16(disk.sectors),
		.from = cw_from_le64(disk.from),
		.next_gen = cw_from_le64(disk.next_gen),
	};
	if (header_crc(buf, record) != cw_from_le32(disk.header_crc))
		return -EIO;
	return is_plausible(record) ? 0 : -EIO;
}

int cw_log_record_check(const u8 *buf, const struct log_record *record)
{
	const u8 *payload = buf + cw_log_payload_at(record);
	u32 i;

	if (!has_page_crcs(record))
		return cw_crc32c(payload, record->stored) ==
			       record->payload_crc ? 0 : -EIO;
	for (i = 0; i < record->stored / CW_PAGE_SIZE; i++)
		if (cw_log_page_check(buf, i, payload + i * CW_PAGE_SIZE))
			return -EIO;
	return 0;
}

int cw_log_page_check(const u8 *header, u32 index, const u8 *page)
{
	__le32 crc;

	memcpy(&crc, header + sizeof(struct cw_disk_log_record) +
		     index * sizeof(crc), sizeof(crc));
	return cw_crc32c(page, CW_PAGE_SIZE) == cw_from_le32(crc) ? 0 : -EIO;
}

bool cw_log_record_holds(const struct log_record *record,
			 const struct log_entry *entry, u64 gen, u64 page)
{
	u32 bit = page - record->page;

	return (record->type == CW_LOG_WRITE || record->type == CW_LOG_MOVE) &&
	       record->gen == gen && record->codec == entry->codec &&
	       record->sectors == entry->sectors && page >= record->page &&
	       page - record->page < record->pages &&
	       (record->data_mask & (1u << bit)) &&
	       cw_popcount(record->data_mask & ((1u << bit) - 1)) ==
		       entry->index &&
	       cw_popcount(record->data_mask) == entry->pages;
}

bool cw_log_record_fits(const struct log_record *record, u64 pages)
{
	u32 slot = record->page % CW_LOG_FANOUT;

	if (!record->pages || cw_outside(record->page, record->pages, pages))
		return false;
	if (record->type == CW_LOG_DROP || record->type == CW_LOG_WIPE)
		return record->pages <= CW_LOG_FANOUT - slot;
	return true;
}

int cw_log_meta_decode(struct cw_workspace_pool *pool, struct cw_workspace *ws,
		       const u8 *buf, const struct log_record *record, u64 *out)
{
	struct cw_disk_log_page *page = (void *)ws->plain;
	u32 i;
	int err = cw_log_record_check(buf, record);

	if (!err)
		err = cw_workspace_decompress(pool, ws, record->codec, page,
					      sizeof(*page),
					      buf + cw_log_payload_at(record),
					      record->stored);
	for (i = 0; !err && i < CW_LOG_FANOUT; i++)
		out[i] = cw_from_le64(page->entry[i]);
	return err;
}

/* ---- superblocks ---- */

u32 cw_log_super_crc(struct cw_disk_log_super *super)
{
	__le32 kept = super->crc;
	u32 crc;

	super->crc = cw_to_le32(0);
	crc = cw_crc32c(super, sizeof(*super));
	super->crc = kept;
	return crc;
}

bool cw_log_super_is_sound(struct cw_disk_log_super *super)
{
	return !memcmp(super->magic, CW_LOG_MAGIC, sizeof(super->magic)) &&
	       cw_log_super_crc(super) == cw_from_le32(super->crc);
}

void cw_log_super_empty(struct cw_disk_log_super *super, u64 gen_limit, u64 seq)
{
	super->gen_limit = cw_to_le64(gen_limit);
	super->segments = 0;
	super->plain_pages = 0;
	super->log_gen = 0;
	super->log_seq = cw_to_le64(seq);
	super->log_segment = cw_to_le32(CW_LOG_NO_SEGMENT);
	super->log_sector = 0;
	super->meta_segment = cw_to_le32(CW_LOG_NO_SEGMENT);
	super->meta_sector = 0;
	memset(super->map_root, 0, sizeof(super->map_root));
	memset(super->usage_root, 0, sizeof(super->usage_root));
}

u64 cw_log_base_size(const struct cw_disk_log_super *super)
{
	bool grown = cw_from_le64(super->incompat) & CW_LOG_INCOMPAT_GROWN;

	return cw_from_le64(grown ? super->base_size : super->size);
}
