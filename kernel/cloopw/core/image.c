// SPDX-License-Identifier: GPL-2.0
#include "image.h"

const struct cw_image_format *const cw_image_formats[] = {
	&cw_image_cloopw,   &cw_image_cloop2, &cw_image_cloop4,
	&cw_image_cloop068, &cw_image_raw,
};

const unsigned int cw_image_formats_count = ARRAY_SIZE(cw_image_formats);

const struct cw_image_format *cw_image_format_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < cw_image_formats_count; i++)
		if (!strcmp(cw_image_formats[i]->name, name))
			return cw_image_formats[i];
	return NULL;
}

static int read_ends(struct cw_image *img, struct cw_image_ends *ends,
		     int *tail_err)
{
	int err;

	ends->head_len = cw_min(img->io_size, CW_HEAD_LEN);
	ends->tail_len = cw_min(img->io_size, CW_TAIL_LEN);
	err = cw_pread(img->io, ends->head, ends->head_len, 0);
	if (err)
		return err;
	/* Most formats are known by the head, and do without the tail. */
	*tail_err = cw_pread(img->io, ends->tail, ends->tail_len,
			     img->io_size - ends->tail_len);
	if (*tail_err)
		ends->tail_len = 0;
	return 0;
}

static int choose_format(struct cw_image *img,
			 const struct cw_image_format *wanted,
			 struct cw_report *report)
{
	struct cw_image_ends *ends = cw_alloc(sizeof(*ends));
	unsigned int i;
	int err, tail_err;

	if (!ends)
		return -ENOMEM;
	err = read_ends(img, ends, &tail_err);
	if (err) {
		cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			  "%s: cannot be read (%s)", img->io->name,
			  cw_error_text(err));
		goto out;
	}
	if (wanted && !wanted->probe(ends)) {
		err = cw_refuse(report, -EINVAL, CLOOPW_R_NOT_AN_IMAGE,
				"%s: is no %s image", img->io->name,
				wanted->name);
		goto out;
	}
	img->format = wanted;
	for (i = 0; !img->format; i++) /* raw, the last, takes anything */
		if (cw_image_formats[i]->probe(ends))
			img->format = cw_image_formats[i];
	/* The probe of raw takes a file of another format, too. */
	if (tail_err && !wanted && img->format == &cw_image_raw)
		err = cw_refuse(report, tail_err, CLOOPW_R_UNREADABLE,
				"%s: its end cannot be read (%s)",
				img->io->name, cw_error_text(tail_err));
out:
	cw_free(ends);
	return err;
}

static int check_size(const struct cw_image *img, u64 size,
		      struct cw_report *report)
{
	if (size > CW_IMAGE_MAX_SIZE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TOO_LARGE,
				 "%s: %llu bytes are too many for a device",
				 img->io->name, size);
	return 0;
}

/* Checks the fields that every format must have set. */
static int check_geometry(struct cw_image *img, struct cw_report *report)
{
	int err = check_size(img, img->size, report);

	if (err || !img->format->locate)
		return err;
	if (img->block_size < CW_IMAGE_MIN_BLOCK ||
	    img->block_size > CW_IMAGE_MAX_BLOCK)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: block size %u is not within %u..%u",
				 img->io->name, img->block_size,
				 CW_IMAGE_MIN_BLOCK, CW_IMAGE_MAX_BLOCK);
	img->blocks = cw_div_up(img->size, img->block_size);
	return 0;
}

static int create_workspaces(struct cw_image *img)
{
	struct cw_workspace_config config = {
		.codecs = img->codecs,
		.stored_len = img->max_stored,
		.plain_len = img->block_size,
		.max_len = img->block_size,
	};

	if (!img->format->locate)
		return 0;
	return cw_workspace_pool_init(&img->workspaces, &config);
}

int cw_image_open(struct cw_io *io, struct cw_cache *cache,
		  const struct cw_image_format *format, struct cw_image **out,
		  struct cw_report *report)
{
	struct cw_image *img = cw_alloc(sizeof(*img));
	int err;

	*out = NULL;
	if (!img)
		return -ENOMEM;
	cw_mutex_init(&img->spare_lock);
	cw_prefetch_init(&img->ahead);
	img->io = io;
	img->cache = cache;
	img->owner = cw_cache_new_owner(cache);
	img->index_owner = cw_cache_new_owner(cache);
	err = cw_size(io, &img->io_size);
	if (err) {
		cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			  "%s: its size cannot be told (%s)", io->name,
			  cw_error_text(err));
		goto free_img;
	}
	if (!img->io_size) {
		err = cw_refuse_file(report, -EINVAL, CLOOPW_R_EMPTY, io->name);
		goto free_img;
	}
	err = choose_format(img, format, report);
	if (err)
		goto free_img;
	err = img->format->open(img, report);
	if (err)
		goto drop_cached;
	err = check_geometry(img, report);
	if (err)
		goto close_format;
	err = create_workspaces(img);
	if (err)
		goto close_format;
	*out = img;
	return 0;

close_format:
	img->format->close(img);
drop_cached:
	cw_cache_drop_owner(cache, img->index_owner);
free_img:
	cw_prefetch_destroy(&img->ahead);
	cw_mutex_destroy(&img->spare_lock);
	cw_free(img);
	return err;
}

void cw_image_close(struct cw_image *img)
{
	if (!img)
		return;
	cw_workspace_pool_destroy(&img->workspaces);
	cw_recorder_destroy(img->recorder);
	img->format->close(img);
	cw_cache_drop_owner(img->cache, img->owner);
	cw_cache_drop_owner(img->cache, img->index_owner);
	cw_prefetch_destroy(&img->ahead);
	cw_mutex_destroy(&img->spare_lock);
	cw_free(img);
}

int cw_image_record(struct cw_image *img)
{
	if (!img->format->locate)
		return -EOPNOTSUPP;
	img->recorder = cw_recorder_create(img->blocks);
	return img->recorder ? 0 : -ENOMEM;
}

int cw_image_resize(struct cw_image *img, struct cw_report *report)
{
	u64 size;
	int err;

	if (img->format->locate)
		return cw_refuse(report, -EOPNOTSUPP, CLOOPW_R_FIXED_IMAGE,
				 "%s: a %s image has the size it was made with",
				 img->io->name, img->format->name);
	err = cw_size(img->io, &size);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
				 "%s: its size cannot be told (%s)",
				 img->io->name, cw_error_text(err));
	if (!size)
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_EMPTY,
				      img->io->name);
	err = check_size(img, size, report);
	if (err)
		return err;
	img->io_size = size;
	img->size = size;
	img->stored_bytes = size;
	return 0;
}

u32 cw_image_block_len(const struct cw_image *img, u64 n)
{
	return cw_min(img->block_size, img->size - n * img->block_size);
}

static int bad_block(struct cw_image *img, u64 n, u64 offset, const char *what,
		     int err)
{
	cw_atomic64_inc(&img->errors);
	cw_log_bad("%s: block %llu at offset %llu: %s (%s)", img->io->name, n,
		   offset, what, cw_error_text(err));
	return -EIO;
}

int cw_image_locate(struct cw_image *img, u64 n, struct cw_extent *extent)
{
	int err;

	*extent = (struct cw_extent){ 0 };
	err = img->format->locate(img, n, extent);
	extent->alike = cw_min(cw_max(extent->alike, 1), img->blocks - n);
	return err;
}

static int locate(struct cw_image *img, u64 n, struct cw_extent *extent)
{
	int err = cw_image_locate(img, n, extent);

	return err ? bad_block(img, n, 0, "its place is not known", err) : 0;
}

/* Why a block cannot be read. */
struct bad {
	const char *what;
	bool content; /* its bytes are there, and wrong */
	int err;
};

/* Reads and checks the stored bytes of an extent. False: *bad says why not. */
static bool read_extent(struct cw_image *img, const struct cw_extent *extent,
			u8 *stored, struct bad *bad)
{
	int err = cw_pread(img->io, stored, extent->stored, extent->offset);

	if (err) {
		*bad = (struct bad){ "cannot be read", false, err };
		return false;
	}
	if (extent->has_crc &&
	    cw_crc32c(stored, extent->stored) != extent->crc) {
		*bad = (struct bad){ "checksum is wrong", true, -EIO };
		return false;
	}
	return true;
}

/* Reads, checks and decompresses one block into buf, exactly len bytes. */
static bool read_plain(struct cw_image *img, struct cw_workspace *ws,
		       const struct cw_extent *extent, u8 *buf, u32 len,
		       struct bad *bad)
{
	bool plain = extent->codec == CW_CODEC_NONE && extent->stored == len;
	u8 *stored = plain ? buf : ws->stored;
	int err;

	if (!read_extent(img, extent, stored, bad))
		return false;
	if (plain)
		return true;
	err = cw_workspace_decompress(&img->workspaces, ws, extent->codec, buf,
				      len, stored, extent->stored);
	if (err)
		*bad = (struct bad){ "does not decompress", true, err };
	return !err;
}

/* Wrong bytes may be those of a copy: is it worth to read the extent again? */
static bool may_be_better(struct cw_image *img, const struct cw_extent *extent,
			  const struct bad *bad)
{
	return bad->content &&
	       cw_distrust(img->io, extent->offset, extent->stored);
}

static int read_block(struct cw_image *img, struct cw_workspace *ws, u64 n,
		      u8 *buf)
{
	u32 len = cw_image_block_len(img, n);
	struct cw_extent extent;
	struct bad bad;
	int err;

	err = locate(img, n, &extent);
	if (err)
		return err;
	if (img->recorder)
		cw_recorder_note(img->recorder, n);
	if (!extent.stored) {
		memset(buf, 0, len);
		return 0;
	}
	cw_prefetch_note(&img->ahead, img->io, extent.offset, extent.stored);
	if (read_plain(img, ws, &extent, buf, len, &bad) ||
	    (may_be_better(img, &extent, &bad) &&
	     read_plain(img, ws, &extent, buf, len, &bad)))
		return 0;
	return bad_block(img, n, extent.offset, bad.what, bad.err);
}

void cw_image_will_read(struct cw_image *img, u64 off, u64 len)
{
	u64 block, last, start = 0, end = 0;
	struct cw_extent extent;

	if (!img->format->locate || !len || cw_outside(off, len, img->size))
		return;
	last = (off + len - 1) / img->block_size;
	for (block = off / img->block_size; block <= last;
	     block += extent.alike) {
		/* A read of the block reports the error. */
		if (cw_image_locate(img, block, &extent) || !extent.stored)
			continue;
		if (extent.offset != end) {
			if (end > start)
				cw_will_read(img->io, start, end - start);
			start = extent.offset;
		}
		end = extent.offset + extent.stored;
	}
	if (end > start)
		cw_will_read(img->io, start, end - start);
}

/*
 * Returns how many blocks from n on are zeros, or are not, as far as one look
 * at the index tells. A block whose place is not known counts as not zeros: a
 * read reports it.
 */
static u64 look_for_zeros(struct cw_image *img, u64 n, bool *zero)
{
	struct cw_extent extent;
	int err = cw_image_locate(img, n, &extent);

	*zero = !err && !extent.stored;
	return extent.alike;
}

int cw_image_is_zero(struct cw_image *img, u64 off, u64 len, u64 *n)
{
	u64 block, end, alike;
	bool zero, next;

	*n = len;
	if (off >= img->size)
		return 1;
	if (!img->format->locate)
		return 0;
	block = off / img->block_size;
	end = cw_min(cw_div_up(off + len, img->block_size), img->blocks);
	block += look_for_zeros(img, block, &zero);
	while (block < end) {
		alike = look_for_zeros(img, block, &next);
		if (next != zero)
			break;
		block += alike;
	}
	block = cw_min(block, end);
	/* Zeros follow the last block. */
	if (block < img->blocks || !zero)
		*n = cw_min(len, block * img->block_size - off);
	return zero;
}

int cw_image_read_stored(struct cw_image *img, u64 n, struct cw_extent *extent,
			 void *stored)
{
	int err = locate(img, n, extent);
	struct bad bad;

	if (err || !extent->stored)
		return err;
	if (read_extent(img, extent, stored, &bad) ||
	    (may_be_better(img, extent, &bad) &&
	     read_extent(img, extent, stored, &bad)))
		return 0;
	return bad_block(img, n, extent->offset, bad.what, bad.err);
}

static int fill_block(void *arg, u64 n, u8 *buf, u32 len)
{
	struct cw_image *img = arg;
	struct cw_workspace *ws = cw_workspace_get(&img->workspaces);
	int err = read_block(img, ws, n, buf);

	cw_workspace_put(&img->workspaces, ws);
	return err;
}

/* The way that needs no memory, and so always works. */
static int read_part_uncached(struct cw_image *img, u64 n, u32 skip, u32 len,
			      u8 *buf)
{
	struct cw_workspace *ws = cw_workspace_get(&img->workspaces);
	int err = read_block(img, ws, n, ws->plain);

	if (!err)
		memcpy(buf, ws->plain + skip, len);
	cw_workspace_put(&img->workspaces, ws);
	return err;
}

static int read_part(struct cw_image *img, u64 n, u32 skip, u32 len, u8 *buf)
{
	struct cw_cache_entry *entry;
	int err;

	err = cw_cache_get(img->cache, img->owner, n,
			   cw_image_block_len(img, n), fill_block, img, &entry);
	if (err == -ENOMEM)
		return read_part_uncached(img, n, skip, len, buf);
	if (err)
		return err;
	memcpy(buf, entry->data + skip, len);
	cw_cache_put(img->cache, entry);
	return 0;
}

/* A whole block goes past the cache, straight to the caller's buffer. */
static int read_whole(struct cw_image *img, u64 n, u8 *buf)
{
	struct cw_cache_entry *entry;

	entry = cw_cache_peek(img->cache, img->owner, n);
	if (!entry)
		return fill_block(img, n, buf, cw_image_block_len(img, n));
	memcpy(buf, entry->data, entry->len);
	cw_cache_put(img->cache, entry);
	return 0;
}

static int read_blocks(struct cw_image *img, u64 off, u32 len, u8 *buf)
{
	while (len) {
		u64 n = off / img->block_size;
		u32 skip = off % img->block_size;
		u32 block_len = cw_image_block_len(img, n);
		u32 part = cw_min(len, block_len - skip);
		int err;

		if (part == block_len)
			err = read_whole(img, n, buf);
		else
			err = read_part(img, n, skip, part, buf);
		if (err)
			return err;
		off += part;
		buf += part;
		len -= part;
	}
	return 0;
}

int cw_image_read(struct cw_image *img, u64 off, u32 len, void *buf)
{
	u32 inside = off < img->size ? cw_min(len, img->size - off) : 0;
	int err = 0;

	memset((u8 *)buf + inside, 0, len - inside);
	if (!inside)
		return 0;
	if (img->format->locate)
		return read_blocks(img, off, inside, buf);
	err = cw_pread(img->io, buf, inside, off);
	if (err)
		cw_atomic64_inc(&img->errors);
	return err;
}

int cw_image_read_cached(struct cw_image *img, u64 off, u32 len, void *buf)
{
	u8 *out = buf;

	if (!img->format->locate || cw_outside(off, len, img->size))
		return -EAGAIN;
	while (len) {
		u64 n = off / img->block_size;
		u32 skip = off % img->block_size;
		u32 part = cw_min(len, cw_image_block_len(img, n) - skip);

		if (!cw_cache_copy(img->cache, img->owner, n, skip, part, out))
			return -EAGAIN;
		off += part;
		out += part;
		len -= part;
	}
	return 0;
}

struct index_fill {
	struct cw_image *img;
	const u32 *crc; /* crc32c of the page; NULL: the format has none */
};

static int fill_index(void *arg, u64 pos, u8 *buf, u32 len)
{
	const struct index_fill *fill = arg;
	struct cw_io *io = fill->img->io;
	int err = cw_pread(io, buf, len, pos);

	if (err || !fill->crc || cw_crc32c(buf, len) == *fill->crc)
		return err;
	/* Wrong bytes may be those of a copy. */
	if (!cw_distrust(io, pos, len))
		return -EIO;
	err = cw_pread(io, buf, len, pos);
	return !err && cw_crc32c(buf, len) != *fill->crc ? -EIO : err;
}

/* The way that needs no memory, and so always works. */
static int read_index_uncached(struct index_fill *fill, u64 pos, u32 page_len,
			       u32 skip, u32 len, void *buf)
{
	struct cw_image *img = fill->img;
	int err;

	cw_mutex_lock(&img->spare_lock);
	err = fill_index(fill, pos, img->spare_page, page_len);
	if (!err)
		memcpy(buf, img->spare_page + skip, len);
	cw_mutex_unlock(&img->spare_lock);
	return err;
}

int cw_image_read_index_page(struct cw_image *img, u64 pos, u32 page_len,
			     const u32 *crc, u32 skip, u32 len, void *buf)
{
	struct index_fill fill = { .img = img, .crc = crc };
	struct cw_cache_entry *entry;
	int err;

	err = cw_cache_get(img->cache, img->index_owner, pos, page_len,
			   fill_index, &fill, &entry);
	if (err == -ENOMEM)
		return read_index_uncached(&fill, pos, page_len, skip, len,
					   buf);
	if (err)
		return err;
	memcpy(buf, entry->data + skip, len);
	cw_cache_put(img->cache, entry);
	return 0;
}

int cw_image_read_index(struct cw_image *img, u64 off, u32 len, void *buf)
{
	u8 *out = buf;

	if (cw_outside(off, len, img->io_size))
		return -EIO;
	while (len) {
		u32 skip = off % CW_PAGE_SIZE;
		u32 page_len =
			cw_min(CW_PAGE_SIZE, img->io_size - (off - skip));
		u32 part = cw_min(len, page_len - skip);
		int err;

		err = cw_image_read_index_page(img, off - skip, page_len, NULL,
					       skip, part, out);
		if (err)
			return err;
		off += part;
		out += part;
		len -= part;
	}
	return 0;
}
