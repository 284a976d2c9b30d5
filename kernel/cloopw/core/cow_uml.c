// SPDX-License-Identifier: GPL-2.0
/*
 * User-mode Linux COW files: a header, a bitmap with one bit a sector, and the
 * data at the sector's own offset behind it. The source
 * arch/um/drivers/cow_user.c of the Linux kernel describes them. uml_mkcow,
 * uml_moo and the ubd driver read and write them.
 *
 * Order of writes. A set bit on the disk promises that the sector's data is
 * there, so bits follow the data:
 *   1. write() puts data into the file, then sets bits in memory.
 *   2. flush() copies the changed bitmap pages aside, makes all data written
 *      so far durable, writes the copies, makes those durable.
 * A crash before the last step of flush loses sectors that were not flushed.
 * They then show the base again. A sector whose bit was durable before is
 * overwritten in place, as on a disk.
 */
#include "cow.h"
#include "cow_uml_head.h"

#define UML_BITS_PER_PAGE (CW_PAGE_SIZE * 8)
#define COUNT_LEN (64u << 10) /* read of the bitmap at once */

struct bitmap_page {
	u64 n;                  /* constant: which page of the bitmap */
	u8 bits[CW_PAGE_SIZE];  /* uml.lock */
	u8 saved[CW_PAGE_SIZE]; /* uml.flush_lock: the copy for flush */
	bool dirty;             /* uml.lock: bits are newer than saved */
	bool saving;            /* uml.flush_lock: is in uml.saving */
	struct bitmap_page *next_saving; /* uml.flush_lock */
};

struct uml {
	u32 sector_size;
	u64 sectors;
	u64 bitmap_offset;
	u64 bitmap_len;
	u64 data_offset;
	u64 pages;

	struct cw_mutex flush_lock; /* one flush at a time; before lock */
	struct bitmap_page *saving; /* flush_lock: saved is not durable yet */
	/* the table, and the fields above that name it */
	struct cw_rwsem lock;
	struct bitmap_page **page;  /* NULL: not read yet; stays once read */
	u64 set;                    /* lock: bits of the whole bitmap */
	bool full;                  /* lock: the last write got ENOSPC */
	/*
	 * lock: -errno, a flush failed. Its data may be lost, and the next
	 * flush of the file would not report that. So the layer writes nothing
	 * any more.
	 */
	int failed;
};

static int check_base(const struct cw_cow *cow, const struct cw_uml_head *head,
		      const struct cw_cow_base *base, struct cw_report *report)
{
	const char *name = cow->io->name;

	if (head->size > ~0ull - CW_SECTOR_SIZE ||
	    cw_round_up(head->size, CW_SECTOR_SIZE) != base->size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_OTHER_BASE,
				 "%s: was made for %.256s of %llu bytes, but %s has %llu",
				 name, head->base, head->size, base->name,
				 base->size);
	if (base->mtime && (u32)base->mtime != head->mtime)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BASE_MODIFIED,
				 "%s: was made for %.128s as modified at %u, but %s was modified at %lld; if it was only copied, 'touch -d @%u' makes it as it was",
				 name, head->base, head->mtime, base->name,
				 base->mtime, head->mtime);
	return 0;
}

/*
 * The programs for these versions are gone, and the bitmap may lack the last
 * sectors.
 */
static int check_writable(const struct cw_cow *cow,
			  const struct cw_uml_head *head,
			  struct cw_report *report)
{
	if (cow->writable && head->version < 3)
		return cw_refuse(report, -EROFS, CLOOPW_R_ONLY_READABLE,
				 "%s: UML COW file of version %u can be read, not written; attach it read-only",
				 cow->io->name, head->version);
	return 0;
}

/* Alignments need not be powers of two. */
static u64 align_up(u64 value, u32 alignment)
{
	return cw_div_up(value, alignment) * alignment;
}

static void place_3(struct uml *uml, const struct cw_uml_head *head)
{
	uml->bitmap_len = cw_div_up(uml->sectors, 8);
	uml->bitmap_offset = align_up(head->len, head->alignment);
	uml->data_offset = align_up(uml->bitmap_offset + uml->bitmap_len,
				    head->alignment);
}

/*
 * Versions 1 and 2 round the number of the bitmap's bytes down. The remaining
 * bits stand in the gap before the data, if there is one.
 */
static void place_1_2(struct uml *uml, const struct cw_uml_head *head)
{
	uml->bitmap_offset = head->len;
	uml->data_offset = align_up(uml->bitmap_offset + uml->sectors / 8,
				    uml->sector_size);
	uml->bitmap_len = cw_min(cw_div_up(uml->sectors, 8),
				 uml->data_offset - uml->bitmap_offset);
}

static int set_layout(struct cw_cow *cow, const struct cw_uml_head *head,
		      struct cw_report *report)
{
	struct uml *uml = cow->priv;
	u64 end, io_size;
	int err;

	uml->sector_size = head->sector_size;
	uml->sectors = cw_div_up(head->size, uml->sector_size);
	if (head->version == 3)
		place_3(uml, head);
	else
		place_1_2(uml, head);
	uml->pages = cw_div_up(cw_div_up(uml->sectors, 8), CW_PAGE_SIZE);
	err = cw_size(cow->io, &io_size);
	if (err)
		return err;
	if (cw_add_overflows(uml->data_offset, head->size, &end) ||
	    end > io_size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: needs %llu bytes, the file has %llu",
				 cow->io->name, end, io_size);
	uml->page = cw_alloc(uml->pages * sizeof(*uml->page));
	return uml->page ? 0 : -ENOMEM;
}

static void uml_close(struct cw_cow *cow)
{
	struct uml *uml = cow->priv;
	u64 i;

	for (i = 0; uml->page && i < uml->pages; i++)
		cw_free(uml->page[i]);
	cw_free(uml->page);
	cw_rwsem_destroy(&uml->lock);
	cw_mutex_destroy(&uml->flush_lock);
	cw_free(uml);
	cow->priv = NULL;
}

/* On error *out is NULL. */
static int read_header(struct cw_io *io, struct cw_uml_head **out,
		       struct cw_report *report)
{
	struct cw_uml_head *head = cw_alloc(sizeof(*head));
	int err;

	*out = NULL;
	if (!head)
		return -ENOMEM;
	err = cw_uml_read_head(io, head, report);
	if (err)
		cw_free(head);
	else
		*out = head;
	return err;
}

/* The file has no UUID, and does not say of what kind the file below is. */
static int uml_identify(struct cw_io *io, struct cw_cow_identity *id,
			struct cw_report *report)
{
	struct cw_uml_head *head;
	int err = read_header(io, &head, report);

	if (err)
		return err;
	id->size = head->size;
	id->below_size = head->size;
	memcpy(id->below, head->base, sizeof(head->base));
	cw_free(head);
	return 0;
}

static int adopt_header(struct cw_cow *cow, const struct cw_cow_base *base,
			struct cw_report *report)
{
	struct cw_uml_head *head;
	int err = read_header(cow->io, &head, report);

	if (err)
		return err;
	err = check_base(cow, head, base, report);
	if (!err)
		err = check_writable(cow, head, report);
	if (!err)
		err = set_layout(cow, head, report);
	cw_free(head);
	return err;
}

static u64 count_bits(const u8 *bits, u32 len)
{
	u64 count = 0;
	u32 word;

	for (; len >= sizeof(word); len -= sizeof(word)) {
		memcpy(&word, bits, sizeof(word));
		count += cw_popcount(word);
		bits += sizeof(word);
	}
	while (len--)
		count += cw_popcount(*bits++);
	return count;
}

/*
 * Where the bitmap goes on behind a hole that begins at pos; its end: nowhere.
 */
static u64 skip_hole(struct cw_cow *cow, u64 pos)
{
	struct uml *uml = cow->priv;
	u64 data = cw_next_data(cow->io, uml->bitmap_offset + pos);

	return cw_min(data - uml->bitmap_offset, uml->bitmap_len);
}

/*
 * Counts once, here. Later callers may be many, and the bitmap may be long,
 * though most of it is holes. An unreadable part counts as empty; a read of its
 * sectors reports the error.
 */
static int count_all(struct cw_cow *cow)
{
	struct uml *uml = cow->priv;
	u8 *part = cw_alloc_raw(COUNT_LEN);
	u64 at;
	u32 len;

	if (!part)
		return -ENOMEM;
	for (at = skip_hole(cow, 0); at < uml->bitmap_len;
	     at = skip_hole(cow, at + len)) {
		len = cw_min(COUNT_LEN, uml->bitmap_len - at);
		if (!cw_pread(cow->io, part, len, uml->bitmap_offset + at))
			uml->set += count_bits(part, len);
	}
	cw_free(part);
	return 0;
}

static int uml_open(struct cw_cow *cow, const struct cw_cow_base *base,
		    struct cw_report *report)
{
	struct uml *uml = cw_alloc(sizeof(*uml));
	int err;

	if (!uml)
		return -ENOMEM;
	cow->priv = uml;
	cw_mutex_init(&uml->flush_lock);
	cw_rwsem_init(&uml->lock);
	err = adopt_header(cow, base, report);
	if (!err)
		err = count_all(cow);
	if (err) {
		uml_close(cow);
		return err;
	}
	cow->granularity = uml->sector_size;
	cow->plain = true;
	return 0;
}

/* Length of bitmap page n in the file: CW_PAGE_SIZE but for the last. */
static u32 page_len(const struct uml *uml, u64 n)
{
	return cw_min(CW_PAGE_SIZE, uml->bitmap_len - n * CW_PAGE_SIZE);
}

static u64 page_offset(const struct uml *uml, u64 n)
{
	return uml->bitmap_offset + n * CW_PAGE_SIZE;
}

/* Makes sure that bitmap page n is in memory; called without locks. */
static int load_page(struct cw_cow *cow, u64 n)
{
	struct uml *uml = cow->priv;
	struct bitmap_page *page;
	bool there;
	int err;

	cw_rwsem_read_lock(&uml->lock);
	there = uml->page[n];
	cw_rwsem_read_unlock(&uml->lock);
	if (there)
		return 0;
	/*
	 * The page stays, because its bits are needed until they are flushed.
	 */
	page = cw_need_alloc(sizeof(*page));
	if (!page)
		return -ENOMEM;
	page->n = n;
	err = cw_pread(cow->io, page->bits, page_len(uml, n),
		       page_offset(uml, n));
	if (err) {
		cw_free(page);
		return err;
	}
	cw_rwsem_write_lock(&uml->lock);
	/* another reader was faster, and bits may be set */
	if (!uml->page[n]) {
		uml->page[n] = page;
		page = NULL;
	}
	cw_rwsem_write_unlock(&uml->lock);
	cw_free(page);
	return 0;
}

static bool bit_is_set(const struct bitmap_page *page, u32 bit)
{
	return page->bits[bit / 8] & (1u << (bit % 8));
}

/*
 * Returns whether the layer holds sector first. *run is the number of sectors,
 * of the next max, with the same answer. Does not look beyond first's bitmap
 * page.
 */
static int find_run(struct cw_cow *cow, u64 first, u64 max, u64 *run)
{
	struct uml *uml = cow->priv;
	u64 n = first / UML_BITS_PER_PAGE;
	u32 bit = first % UML_BITS_PER_PAGE;
	u32 end = cw_min(bit + max, UML_BITS_PER_PAGE);
	u32 i;
	bool set;
	int err;

	err = load_page(cow, n);
	if (err)
		return err;
	cw_rwsem_read_lock(&uml->lock);
	set = bit_is_set(uml->page[n], bit);
	for (i = bit + 1; i < end; i++)
		if (bit_is_set(uml->page[n], i) != set)
			break;
	cw_rwsem_read_unlock(&uml->lock);
	*run = i - bit;
	return set ? CW_COW_HIT : CW_COW_MISS;
}

static int uml_read(struct cw_cow *cow, u64 off, u32 len, void *buf, u32 *n)
{
	struct uml *uml = cow->priv;
	u32 skip = off % uml->sector_size;
	u64 run = 0;
	int hit, err;

	hit = find_run(cow, off / uml->sector_size,
		       cw_div_up((u64)skip + len, uml->sector_size), &run);
	if (hit < 0)
		return hit;
	*n = cw_min(len, run * uml->sector_size - skip);
	if (!hit)
		return CW_COW_MISS;
	err = cw_pread(cow->io, buf, *n, uml->data_offset + off);
	return err ? err : CW_COW_HIT;
}

static int uml_block_status(struct cw_cow *cow, u64 off, u64 len, u64 *n)
{
	struct uml *uml = cow->priv;
	u32 skip = off % uml->sector_size;
	u64 run = 0;
	int hit;

	hit = find_run(cow, off / uml->sector_size,
		       cw_div_up(skip + len, uml->sector_size), &run);
	if (hit >= 0)
		*n = cw_min(len, run * uml->sector_size - skip);
	return hit;
}

static int uml_locate(struct cw_cow *cow, u64 off, u32 len, u64 *pos)
{
	struct uml *uml = cow->priv;
	u64 sector = off / uml->sector_size;
	u64 end = cw_div_up(off + len, uml->sector_size);
	u32 set = 0, clear = 0;

	if (!cw_rwsem_read_trylock(&uml->lock))
		return -EAGAIN;
	for (; sector < end && !(set && clear); sector++) {
		const struct bitmap_page *page =
			uml->page[sector / UML_BITS_PER_PAGE];

		if (!page)
			break;
		if (bit_is_set(page, sector % UML_BITS_PER_PAGE))
			set++;
		else
			clear++;
	}
	cw_rwsem_read_unlock(&uml->lock);
	if (sector < end || (set && clear))
		return -EAGAIN;
	*pos = uml->data_offset + off;
	return set ? CW_COW_HIT : CW_COW_MISS;
}

/* The data of these sectors is in the file: let readers see it. */
static void set_bits(struct uml *uml, u64 first, u64 count)
{
	u64 sector;

	cw_rwsem_write_lock(&uml->lock);
	for (sector = first; sector < first + count; sector++) {
		struct bitmap_page *page = uml->page[sector / UML_BITS_PER_PAGE];
		u32 bit = sector % UML_BITS_PER_PAGE;

		if (bit_is_set(page, bit))
			continue;
		page->bits[bit / 8] |= 1u << (bit % 8);
		page->dirty = true;
		uml->set++;
	}
	cw_rwsem_write_unlock(&uml->lock);
}

static int is_failed(struct uml *uml)
{
	int err;

	cw_rwsem_read_lock(&uml->lock);
	err = uml->failed;
	cw_rwsem_read_unlock(&uml->lock);
	return err;
}

/* Notes the result of a write of data. */
static void note_result(struct uml *uml, int err)
{
	bool changed;

	cw_rwsem_read_lock(&uml->lock);
	changed = uml->full != (err == -ENOSPC);
	cw_rwsem_read_unlock(&uml->lock);
	if (!changed)
		return;
	cw_rwsem_write_lock(&uml->lock);
	uml->full = err == -ENOSPC;
	cw_rwsem_write_unlock(&uml->lock);
}

static int uml_place(struct cw_cow *cow, u64 off, u32 len, u64 *pos)
{
	struct uml *uml = cow->priv;
	u64 last = (off + len - 1) / uml->sector_size / UML_BITS_PER_PAGE;
	u64 n;
	int err = is_failed(uml);

	if (err)
		return err;
	for (n = off / uml->sector_size / UML_BITS_PER_PAGE; n <= last; n++) {
		err = load_page(cow, n);
		if (err)
			return err;
	}
	*pos = uml->data_offset + off;
	return 0;
}

static void uml_placed(struct cw_cow *cow, u64 off, u32 len)
{
	struct uml *uml = cow->priv;

	note_result(uml, 0);
	set_bits(uml, off / uml->sector_size, len / uml->sector_size);
}

static int uml_write(struct cw_cow *cow, u64 off, u32 len, const void *buf)
{
	u64 pos;
	int err;

	err = uml_place(cow, off, len, &pos);
	if (err)
		return err;
	err = cw_cow_pwrite(cow->io, buf, len, pos);
	if (err)
		note_result(cow->priv, err);
	else
		uml_placed(cow, off, len);
	return err;
}

/* Copies the changed pages aside, in order. flush_lock is held. */
static void save_dirty_pages(struct uml *uml)
{
	u64 n;

	cw_rwsem_write_lock(&uml->lock);
	for (n = uml->pages; n-- > 0;) {
		struct bitmap_page *page = uml->page[n];

		if (!page || !page->dirty)
			continue;
		memcpy(page->saved, page->bits, CW_PAGE_SIZE);
		page->dirty = false;
		if (page->saving)
			continue;
		page->saving = true;
		page->next_saving = uml->saving;
		uml->saving = page;
	}
	cw_rwsem_write_unlock(&uml->lock);
}

/* cw_flush(), after whose first error the layer is not written. */
static int flush_file(struct cw_cow *cow)
{
	struct uml *uml = cow->priv;
	int err = cw_flush(cow->io);

	if (!err)
		return 0;
	cw_rwsem_write_lock(&uml->lock);
	uml->failed = err;
	cw_rwsem_write_unlock(&uml->lock);
	cw_log_bad("%s: cannot be written any more (%s); what was flushed is safe, reading goes on",
		   cow->io->name, cw_error_text(err));
	return err;
}

/*
 * Looks only at pages in the list, because readers bring in others meanwhile.
 * On an error all of them stay there for the next flush.
 */
static int write_saved_pages(struct cw_cow *cow)
{
	struct uml *uml = cow->priv;
	struct bitmap_page *page;
	int err;

	for (page = uml->saving; page; page = page->next_saving) {
		err = cw_cow_pwrite(cow->io, page->saved, page_len(uml, page->n),
				    page_offset(uml, page->n));
		if (err)
			return err;
	}
	err = flush_file(cow);
	if (err)
		return err;
	for (; uml->saving; uml->saving = uml->saving->next_saving)
		uml->saving->saving = false;
	return 0;
}

static int uml_flush(struct cw_cow *cow)
{
	struct uml *uml = cow->priv;
	int err;

	if (!cow->writable)
		return 0;
	cw_mutex_lock(&uml->flush_lock);
	err = is_failed(uml);
	if (!err) {
		save_dirty_pages(uml);
		err = flush_file(cow);
	}
	if (!err && uml->saving)
		err = write_saved_pages(cow);
	cw_mutex_unlock(&uml->flush_lock);
	return err;
}

static void uml_stat(struct cw_cow *cow, struct cw_cow_stat *stat)
{
	struct uml *uml = cow->priv;
	u64 sectors;

	cw_rwsem_read_lock(&uml->lock);
	sectors = uml->set;
	cw_rwsem_read_unlock(&uml->lock);
	*stat = (struct cw_cow_stat){
		.live_bytes = sectors * uml->sector_size,
		.plain_bytes = sectors * uml->sector_size,
	};
	if (cw_size(cow->io, &stat->total_bytes))
		stat->total_bytes = 0;
}

static void uml_space(struct cw_cow *cow, struct cw_cow_space *space)
{
	struct uml *uml = cow->priv;

	/* A sparse file's need is unknown without a read of all of it. */
	*space = (struct cw_cow_space){ .state = CW_COW_OK };
	cw_rwsem_read_lock(&uml->lock);
	if (!cow->writable)
		space->state = CW_COW_READ_ONLY;
	else if (uml->failed)
		space->state = CW_COW_FAILED;
	else if (uml->full)
		space->state = CW_COW_FULL;
	cw_rwsem_read_unlock(&uml->lock);
}

const struct cw_cow_format cw_cow_uml = {
	.name = "uml",
	.probe = cw_uml_is_head,
	.identify = uml_identify,
	.open = uml_open,
	.close = uml_close,
	.read = uml_read,
	.block_status = uml_block_status,
	.locate = uml_locate,
	.write = uml_write,
	.place = uml_place,
	.placed = uml_placed,
	.flush = uml_flush,
	.stat = uml_stat,
	.space = uml_space,
};
