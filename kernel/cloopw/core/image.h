/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Base images, read-only. One file and one row of cw_image_formats[] a format.
 *
 * A format says where a block is stored (locate); reading, checking,
 * decompressing and caching are image.c's and the same for all. A format
 * without blocks (raw) has no locate: its bytes are read as they are.
 */
#ifndef CLOOPW_IMAGE_H
#define CLOOPW_IMAGE_H

#include "cache.h"
#include "io.h"
#include "report.h"
#include "workspace.h"

#define CW_IMAGE_MIN_BLOCK 512u
#define CW_IMAGE_MAX_BLOCK (4u << 20)
#define CW_IMAGE_MAX_SIZE (1ull << 62)
#define CW_HEAD_LEN 4096u
#define CW_TAIL_LEN 136u /* some formats have their header at the end */
#define CW_LABEL_LEN 64
#define CW_UUID_LEN 16

struct cw_image;

/* Where a block's bytes are. stored == 0: the block is zeros. */
struct cw_extent {
	u64 offset;   /* in the backing file */
	u32 stored;   /* bytes there */
	u32 crc;      /* crc32c of the stored bytes, when has_crc */
	u8 codec;     /* enum cw_codec_id */
	bool has_crc;
	/*
	 * So many blocks from here on have the same answer, known without
	 * looking further: zeros, or that their place is not known. 1 or more.
	 */
	u64 alike;
};

/* Where a file tells what it is; a short one has less of both. */
struct cw_image_ends {
	u32 head_len;
	u32 tail_len;
	u8 head[CW_HEAD_LEN];
	u8 tail[CW_TAIL_LEN];
};

struct cw_image_format {
	const char *name;

	/*
	 * Does the file look like one? Only the magic is asked for: a damaged
	 * file of this format is still this format, and open says what is
	 * wrong with it.
	 */
	bool (*probe)(const struct cw_image_ends *ends);

	/*
	 * Sets size, block_size, codecs, priv and what else it knows; checks
	 * everything it read. On error nothing is left behind.
	 */
	int (*open)(struct cw_image *img, struct cw_report *report);
	void (*close)(struct cw_image *img);

	/*
	 * Where block n (< img->blocks) is. The extent lies within the file
	 * and is at most img->max_stored long; -EIO when the index lies.
	 * Sets alike, also with -EIO, or leaves it 0.
	 */
	int (*locate)(struct cw_image *img, u64 n, struct cw_extent *extent);
};

struct cw_image {
	/* Set by image.c before open. */
	const struct cw_image_format *format;
	struct cw_io *io;
	struct cw_cache *cache;
	u64 owner;       /* in the cache: decompressed blocks, by number */
	u64 index_owner; /* in the cache: index pages, by file offset */
	u64 io_size;     /* bytes in the backing file */

	/* Set by open, constant afterwards; sizes until cw_image_resize(). */
	u64 size;        /* bytes of the decompressed image, exact */
	u32 block_size;  /* 0 for a format without blocks */
	u64 blocks;
	u32 max_stored;  /* longest stored block */
	u32 codecs;      /* CW_CODEC_BIT()s that occur */
	u64 stored_bytes; /* how large it is compressed, for statistics */
	/* What it was made with, if the format says; else NULL. */
	const struct cw_codec *made_codec;
	int made_level;
	u8 uuid[CW_UUID_LEN]; /* zeros when the format has none */
	u64 digest; /* of the content, cheap; 0 when the format has none */
	char label[CW_LABEL_LEN + 1];
	void *priv;

	struct cw_workspace_pool workspaces;
	struct cw_atomic64 errors; /* blocks that could not be read */

	/* An index page for when the cache gets no memory. */
	struct cw_mutex spare_lock;
	u8 spare_page[CW_PAGE_SIZE]; /* spare_lock */
};

extern const struct cw_image_format cw_image_raw;
extern const struct cw_image_format cw_image_cloop068;
extern const struct cw_image_format cw_image_cloop2;
extern const struct cw_image_format cw_image_cloop4;
extern const struct cw_image_format cw_image_cloopw;

/* In the order in which they are probed; raw, which is anything, is last. */
extern const struct cw_image_format *const cw_image_formats[];
extern const unsigned int cw_image_formats_count;

const struct cw_image_format *cw_image_format_by_name(const char *name);

/*
 * io and cache are borrowed until close. format NULL: probe. On error *out is
 * NULL and the report says why.
 */
int cw_image_open(struct cw_io *io, struct cw_cache *cache,
		  const struct cw_image_format *format, struct cw_image **out,
		  struct cw_report *report);
void cw_image_close(struct cw_image *img); /* NULL is fine */

/*
 * Takes over the size that the file has by now. Nobody may read meanwhile. A
 * format with blocks has the size it was made with: -EOPNOTSUPP.
 */
int cw_image_resize(struct cw_image *img, struct cw_report *report);

/*
 * Reads [off, off + len). What lies behind the image's last byte reads as
 * zeros, so that a device of whole sectors can end in a part of one.
 * -EIO when a block is damaged. Any thread, any alignment.
 */
int cw_image_read(struct cw_image *img, u64 off, u32 len, void *buf);

/*
 * All of a range is read soon: has the file fetch what its blocks are stored
 * in, those that lie side by side at once. A hint; may sleep.
 */
void cw_image_will_read(struct cw_image *img, u64 off, u64 len);

/*
 * Is the start of a range known to be zeros, without reading it? 1 or 0, and
 * for *n bytes: 0 < *n <= len.
 */
int cw_image_is_zero(struct cw_image *img, u64 off, u64 len, u64 *n);

/*
 * Where block n is stored, and for how many more blocks that says it all.
 * -EIO when the index cannot tell; extent->alike is set then, too.
 */
int cw_image_locate(struct cw_image *img, u64 n, struct cw_extent *extent);

/*
 * Reads block n as it is stored, and checks it as far as that is possible
 * without decompressing. stored has room for img->max_stored bytes.
 */
int cw_image_read_stored(struct cw_image *img, u64 n, struct cw_extent *extent,
			 void *stored);

/*
 * cw_image_read() of what is in the cache, without waiting for anything; -EAGAIN
 * when not all of it is, and when the range is not within the image.
 */
int cw_image_read_cached(struct cw_image *img, u64 off, u32 len, void *buf);

/* Decompressed length of block n: block_size but for the last. */
u32 cw_image_block_len(const struct cw_image *img, u64 n);

/*
 * For formats' locate: reads from the index through the cache. The first
 * takes any range of the file; the second a page that the format defines
 * (at most CW_PAGE_SIZE long and within the file), whose checksum is checked
 * when it is read in, and copies [skip, skip + len) of it.
 */
int cw_image_read_index(struct cw_image *img, u64 off, u32 len, void *buf);
int cw_image_read_index_page(struct cw_image *img, u64 pos, u32 page_len,
			     const u32 *crc, u32 skip, u32 len, void *buf);

#endif
