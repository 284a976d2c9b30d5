/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Base images, read-only. A format is one file and one row of
 * cw_image_formats[].
 *
 * A format's locate says where a block is stored. image.c reads, checks,
 * decompresses and caches for all formats. A format without blocks (raw) has no
 * locate: image.c reads its bytes directly.
 */
#ifndef CLOOPW_IMAGE_H
#define CLOOPW_IMAGE_H

#include "cache.h"
#include "io.h"
#include "prefetch.h"
#include "recorder.h"
#include "report.h"
#include "workspace.h"

#define CW_IMAGE_MIN_BLOCK 512u
#define CW_IMAGE_MAX_BLOCK (4u << 20)
#define CW_IMAGE_MAX_SIZE BIT_ULL(62)
#define CW_HEAD_LEN 4096u
#define CW_TAIL_LEN 136u /* some formats have their header at the end */
#define CW_LABEL_LEN 64
#define CW_UUID_LEN 16

struct cw_image;

/* The place of a block's bytes. stored == 0: the block is zeros. */
struct cw_extent {
	u64 offset;   /* in the backing file */
	u32 stored;   /* bytes there */
	u32 crc;      /* crc32c of the stored bytes, when has_crc */
	u8 codec;     /* enum cw_codec_id */
	bool has_crc;
	/*
	 * So many blocks from here on have the same answer, 1 or more: they are
	 * zeros, or their place is not known. locate knows this without a
	 * further look.
	 */
	u64 alike;
};

/*
 * The head and tail of a file, which tell its format. A short file has less of
 * both.
 */
struct cw_image_ends {
	u32 head_len;
	u32 tail_len;
	u8 head[CW_HEAD_LEN];
	u8 tail[CW_TAIL_LEN];
};

struct cw_image_format {
	const char *name;

	/*
	 * Does the file look like one? Only the magic counts: a damaged file of
	 * this format is still of this format, and open says what is wrong with
	 * it.
	 */
	bool (*probe)(const struct cw_image_ends *ends);

	/*
	 * Sets size, block_size, codecs, priv and the other fields that the
	 * format knows. Checks all that it reads. On error nothing is left
	 * behind.
	 */
	int (*open)(struct cw_image *img, struct cw_report *report);
	void (*close)(struct cw_image *img);

	/*
	 * Finds the place of block n (< img->blocks). The extent lies within
	 * the file and is at most img->max_stored long. -EIO: the index is
	 * damaged. Sets alike, also with -EIO, or leaves it 0.
	 */
	int (*locate)(struct cw_image *img, u64 n, struct cw_extent *extent);
};

struct cw_image {
	/* Set by image.c before open. */
	const struct cw_image_format *format;
	struct cw_io *io;
	struct cw_cache *cache;
	u64 owner;       /* cache owner of decompressed blocks; pos: number */
	u64 index_owner; /* cache owner of index pages; pos: file offset */
	u64 io_size;     /* bytes in the backing file */

	/*
	 * Set by open, constant afterwards; the sizes until cw_image_resize().
	 */
	u64 size;        /* bytes of the decompressed image, exact */
	u32 block_size;  /* 0 for a format without blocks */
	u64 blocks;
	u32 max_stored;  /* longest stored block */
	u32 codecs;      /* CW_CODEC_BIT()s that occur */
	u64 stored_bytes; /* compressed length, for statistics */
	/*
	 * The codec the image was made with, if the format says so; else NULL.
	 */
	const struct cw_codec *made_codec;
	int made_level;
	u8 uuid[CW_UUID_LEN]; /* zeros when the format has none */
	u64 digest; /* cheap digest of the content; 0: the format has none */
	char label[CW_LABEL_LEN + 1];
	struct cw_prefetch ahead; /* open sets its area, if there is one */
	void *priv;

	struct cw_recorder *recorder; /* NULL: nobody wants to know */

	struct cw_workspace_pool workspaces;
	struct cw_atomic64 errors; /* blocks that could not be read */

	/* An index page for use when the cache gets no memory. */
	struct cw_mutex spare_lock;
	u8 spare_page[CW_PAGE_SIZE]; /* spare_lock */
};

extern const struct cw_image_format cw_image_raw;
extern const struct cw_image_format cw_image_cloop068;
extern const struct cw_image_format cw_image_cloop2;
extern const struct cw_image_format cw_image_cloop4;
extern const struct cw_image_format cw_image_cloopw;

/* In the order of probing. raw probes true for any file, so it is last. */
extern const struct cw_image_format *const cw_image_formats[];
extern const unsigned int cw_image_formats_count;

/* NULL: there is none. */
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
 * Takes over the present size of the file. Nobody may read meanwhile. A format
 * with blocks has a fixed size: -EOPNOTSUPP.
 */
int cw_image_resize(struct cw_image *img, struct cw_report *report);

/*
 * Reads [off, off + len). Bytes behind the image's last byte read as zeros, so
 * that a device of whole sectors can end in a part of one. -EIO: a block is
 * damaged. Any thread, any alignment.
 */
int cw_image_read(struct cw_image *img, u64 off, u32 len, void *buf);

/*
 * Records from now on which blocks are read first. Before the first read.
 * -EOPNOTSUPP: the image has no blocks.
 */
int cw_image_record(struct cw_image *img);

/*
 * A hint: all of the range is read soon. The file fetches the stored blocks,
 * neighbours at once. May sleep.
 */
void cw_image_will_read(struct cw_image *img, u64 off, u64 len);

/*
 * Is the start of a range known to be zeros, without a read? Returns 1 or 0.
 * The answer counts for *n bytes, 0 < *n <= len.
 */
int cw_image_is_zero(struct cw_image *img, u64 off, u64 len, u64 *n);

/*
 * Finds the place of block n, and in extent->alike how many blocks have the
 * same answer. -EIO: the index cannot tell; extent->alike is set then, too.
 */
int cw_image_locate(struct cw_image *img, u64 n, struct cw_extent *extent);

/*
 * Reads block n in its stored form, and checks what can be checked without
 * decompression. stored has room for img->max_stored bytes.
 */
int cw_image_read_stored(struct cw_image *img, u64 n, struct cw_extent *extent,
			 void *stored);

/*
 * Reads from the cache without waiting for anything. -EAGAIN: the cache has not
 * all of the range, the range is not within the image, or the format has no
 * blocks.
 */
int cw_image_read_cached(struct cw_image *img, u64 off, u32 len, void *buf);

/* Decompressed length of block n: block_size, less for the last block. */
u32 cw_image_block_len(const struct cw_image *img, u64 n);

/*
 * For formats' locate: reads from the index through the cache.
 * cw_image_read_index() takes any range of the file. cw_image_read_index_page()
 * takes a page that the format defines, within the file and at most
 * CW_PAGE_SIZE long. It checks the page's crc, unless crc is NULL, when the
 * page is read in, and copies [skip, skip + len) of it.
 */
int cw_image_read_index(struct cw_image *img, u64 off, u32 len, void *buf);
int cw_image_read_index_page(struct cw_image *img, u64 pos, u32 page_len,
			     const u32 *crc, u32 skip, u32 len, void *buf);

#endif
