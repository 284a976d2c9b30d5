// SPDX-License-Identifier: GPL-2.0
/* The native image, version 1: docs/reference/format.md, format.h. */
#include "format.h"
#include "image.h"

/* Bytes of the index that are fetched with the boot area at most. */
#define MAX_INDEX_AHEAD BIT(20)

/* Decoded from the superblock; constant. */
struct native {
	struct cw_extent root; /* stored == 0: the whole image is zeros */
	u32 levels;
	u64 end; /* length of the file in the superblock; <= io_size */
};

static bool native_probe(const struct cw_image_ends *ends)
{
	return ends->head_len >= 8 && !memcmp(ends->head, CW_IMAGE_MAGIC, 8);
}

/* Decodes a reference and checks its bounds; max is its longest length. */
static int decode_ref(const struct cw_disk_ref *disk, u64 end, u32 max,
		      struct cw_extent *extent)
{
	u64 where = cw_from_le64(disk->where);

	*extent = (struct cw_extent){
		.offset = where & ((1ull << CW_REF_OFFSET_BITS) - 1),
		.stored = cw_from_le32(disk->stored),
		.crc = cw_from_le32(disk->crc),
		.codec = (where >> CW_REF_CODEC_SHIFT) & 0xff,
		.has_crc = true,
	};
	if (!extent->stored)
		return where || extent->crc ? -EIO : 0;
	if (where >> CW_REF_RESERVED_SHIFT || extent->stored > max ||
	    extent->offset < CW_SUPER_LEN ||
	    cw_outside(extent->offset, extent->stored, end))
		return -EIO;
	return 0;
}

/* Can a reference to an index page be so? */
static bool is_index_page(const struct cw_extent *extent)
{
	return !extent->stored || (extent->stored == CW_INDEX_PAGE_LEN &&
				   extent->codec == CW_CODEC_NONE);
}

static u32 levels_for(u64 blocks)
{
	u32 levels = 0;

	for (; blocks > 1 || !levels; levels++)
		blocks = cw_div_up(blocks, CW_INDEX_FANOUT);
	return levels;
}

static int check_features(const struct cw_disk_super *super, const char *name,
			  struct cw_report *report)
{
	u64 unknown = cw_from_le64(super->incompat) & ~CW_IMAGE_INCOMPAT_KNOWN;
	u32 version = cw_from_le32(super->version);

	if (version != CW_IMAGE_VERSION)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: cloopw image of version %u; this driver reads version %u",
				 name, version, CW_IMAGE_VERSION);
	if (unknown)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: uses features this driver does not know (incompatible feature bits %#llx): a newer cloopw is needed",
				 name, unknown);
	return 0;
}

static int check_crc(struct cw_disk_super *super, const char *name,
		     struct cw_report *report)
{
	u32 crc = cw_from_le32(super->crc);

	super->crc = cw_to_le32(0);
	if (cw_crc32c(super, sizeof(*super)) != crc)
		return cw_refuse(report, -EINVAL, CLOOPW_R_DAMAGED,
				 "%s: the superblock is damaged (checksum)",
				 name);
	return 0;
}

static int check_geometry(const struct cw_disk_super *super, u64 io_size,
			  const char *name, struct cw_report *report)
{
	u64 size = cw_from_le64(super->size);
	u64 file_bytes = cw_from_le64(super->file_bytes);
	u32 block_size = cw_from_le32(super->block_size);
	u32 levels = cw_from_le32(super->levels);

	if (!cw_is_power_of_2(block_size) || block_size < CW_NATIVE_MIN_BLOCK ||
	    block_size > CW_NATIVE_MAX_BLOCK)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: block size %u is no power of two within %u..%u",
				 name, block_size, CW_NATIVE_MIN_BLOCK,
				 CW_NATIVE_MAX_BLOCK);
	if (!size || size > 1ull << 62)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: a size of %llu bytes is not possible",
				 name, size);
	if (levels != levels_for(cw_div_up(size, block_size)) ||
	    levels > CW_INDEX_MAX_LEVELS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: an index of %u levels does not fit %llu bytes in blocks of %u",
				 name, levels, size, block_size);
	if (file_bytes < CW_SUPER_LEN)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: a length of %llu bytes is less than its superblock",
				 name, file_bytes);
	if (file_bytes > io_size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: the image has %llu bytes, the file %llu",
				 name, file_bytes, io_size);
	if (cw_from_le64(super->boot_bytes) > file_bytes - CW_SUPER_LEN)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: a boot area of %llu bytes is longer than its file",
				 name, cw_from_le64(super->boot_bytes));
	return 0;
}

/* The driver knows codecs that only userspace has, and calls them by name. */
static int check_codecs(u32 codecs, const char *name, struct cw_report *report)
{
	unsigned int i;

	if (codecs >> CW_CODEC_IDS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NO_CODEC,
				 "%s: uses codecs this driver does not know (%#x)",
				 name, codecs);
	for (i = 0; i < cw_codecs_count; i++)
		if (codecs & CW_CODEC_BIT(cw_codecs[i]->id) &&
		    !cw_codec_is_here(cw_codecs[i]))
			return cw_refuse(report, -EOPNOTSUPP,
					 CLOOPW_R_USERSPACE_CODEC,
					 "%s: has blocks of codec %s, which only userspace reads",
					 name, cw_codecs[i]->name);
	return 0;
}

/*
 * The codec that made the image, for a tool that makes another image of it. Two
 * codecs share an id, and the level tells them apart.
 */
static void adopt_maker(struct cw_image *img, const struct cw_disk_super *super)
{
	s32 level = cw_from_le32(super->level);
	unsigned int i;

	for (i = 0; i < cw_codecs_count; i++) {
		const struct cw_codec *codec = cw_codecs[i];

		if (img->made_codec || codec->id != cw_from_le32(super->codec) ||
		    level < codec->min_level || level > codec->max_level)
			continue;
		img->made_codec = codec;
		img->made_level = level;
	}
}

/* The root contains a checksum of all below it. Never 0. */
static u64 digest_of(const struct cw_disk_super *super)
{
	u64 digest = (u64)cw_crc32c(&super->root, sizeof(super->root)) << 32 |
		     cw_crc32c(&super->size, sizeof(super->size));

	return digest ? digest : 1;
}

/*
 * With a boot area, all index pages lie before the root. A large index is
 * fetched in part.
 */
static void adopt_boot_area(struct cw_image *img, u64 boot_bytes)
{
	const struct native *native = img->priv;
	u64 index_end = native->root.offset + native->root.stored;
	u64 pages = cw_div_up(cw_div_up(img->size, img->block_size),
			      CW_INDEX_FANOUT);
	u64 index_len = cw_min(pages * CW_INDEX_PAGE_LEN, MAX_INDEX_AHEAD);

	if (boot_bytes && native->root.stored)
		cw_prefetch_set(&img->ahead, CW_SUPER_LEN,
				CW_SUPER_LEN + boot_bytes,
				index_end - cw_min(index_len, index_end),
				index_end);
}

/* Takes the checked values over. */
static int adopt(struct cw_image *img, const struct cw_disk_super *super,
		 struct cw_report *report)
{
	struct native *native = img->priv;

	native->levels = cw_from_le32(super->levels);
	native->end = cw_from_le64(super->file_bytes);
	if (decode_ref(&super->root, native->end, CW_INDEX_PAGE_LEN,
		       &native->root) ||
	    !is_index_page(&native->root))
		return cw_refuse(report, -EINVAL, CLOOPW_R_DAMAGED,
				 "%s: the superblock's index reference is not valid",
				 img->io->name);
	img->size = cw_from_le64(super->size);
	img->block_size = cw_from_le32(super->block_size);
	img->max_stored = img->block_size;
	img->codecs = cw_from_le32(super->codecs);
	img->stored_bytes = native->end;
	adopt_maker(img, super);
	adopt_boot_area(img, cw_from_le64(super->boot_bytes));
	img->digest = digest_of(super);
	memcpy(img->uuid, super->uuid, CW_UUID_LEN);
	memcpy(img->label, super->label, CW_LABEL_LEN);
	return 0;
}

static int check_super(struct cw_image *img, struct cw_disk_super *super,
		       struct cw_report *report)
{
	const char *name = img->io->name;
	int err;

	/*
	 * The version first, because a later one may keep its checksum
	 * elsewhere.
	 */
	err = check_features(super, name, report);
	if (!err)
		err = check_crc(super, name, report);
	if (!err)
		err = check_geometry(super, img->io_size, name, report);
	if (!err)
		err = check_codecs(cw_from_le32(super->codecs), name, report);
	return err;
}

/*
 * A copy that was cut off, or whose end is zeros, has lost the index. The open
 * reports that, not a later read.
 */
static int check_root(struct cw_image *img, struct cw_report *report)
{
	const struct native *native = img->priv;
	struct cw_disk_ref ref;
	int err;

	if (!native->root.stored)
		return 0;
	err = cw_image_read_index_page(img, native->root.offset,
				       CW_INDEX_PAGE_LEN, &native->root.crc, 0,
				       sizeof(ref), &ref);
	if (err == -ENOMEM)
		return err;
	if (err)
		return cw_refuse(report, err, CLOOPW_R_DAMAGED,
				 "%s: damaged: the root of its index, at byte %llu, cannot be read or has a wrong checksum",
				 img->io->name, native->root.offset);
	return 0;
}

static int native_open(struct cw_image *img, struct cw_report *report)
{
	struct cw_disk_super *super;
	int err = -ENOMEM;

	if (img->io_size < CW_SUPER_LEN)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: %llu bytes are less than a superblock",
				 img->io->name, img->io_size);
	super = cw_alloc_raw(sizeof(*super));
	img->priv = cw_alloc(sizeof(struct native));
	if (!super || !img->priv)
		goto free_priv;
	err = cw_pread(img->io, super, sizeof(*super), 0);
	if (err) {
		cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			  "%s: the superblock cannot be read", img->io->name);
		goto free_priv;
	}
	err = check_super(img, super, report);
	if (!err)
		err = adopt(img, super, report);
	if (!err)
		err = check_root(img, report);
	if (err)
		goto free_priv;
	cw_free(super);
	return 0;

free_priv:
	cw_free(img->priv);
	img->priv = NULL;
	cw_free(super);
	return err;
}

static void native_close(struct cw_image *img)
{
	cw_free(img->priv);
	img->priv = NULL;
}

/* Blocks from n to the end of the range of one reference of this level. */
static u64 blocks_left(u64 n, u32 level)
{
	u64 covers = 1ull << (level * CW_INDEX_FANOUT_SHIFT);

	return covers - (n & (covers - 1));
}

/*
 * Follows the reference for block n in the page *extent, which is of this
 * level. On error *covers is the level of the lost part.
 */
static int follow_ref(struct cw_image *img, u64 n, u32 level,
		      struct cw_extent *extent, u32 *covers)
{
	const struct native *native = img->priv;
	u32 slot = (n >> (level * CW_INDEX_FANOUT_SHIFT)) &
		   (CW_INDEX_FANOUT - 1);
	struct cw_disk_ref ref;
	int err;

	*covers = level + 1; /* all below the page */
	err = cw_image_read_index_page(img, extent->offset, CW_INDEX_PAGE_LEN,
				       &extent->crc, slot * sizeof(ref),
				       sizeof(ref), &ref);
	if (err)
		return err;
	*covers = level;
	err = decode_ref(&ref, native->end,
			 level ? CW_INDEX_PAGE_LEN :
				 cw_image_block_len(img, n),
			 extent);
	if (!err && level && !is_index_page(extent))
		err = -EIO;
	return err;
}

static int native_locate(struct cw_image *img, u64 n, struct cw_extent *extent)
{
	const struct native *native = img->priv;
	u32 level = native->levels;
	u32 covers = level;
	int err = 0;

	*extent = native->root;
	while (!err && level && extent->stored)
		err = follow_ref(img, n, --level, extent, &covers);
	if (err || !extent->stored)
		extent->alike = blocks_left(n, err ? covers : level);
	return err;
}

const struct cw_image_format cw_image_cloopw = {
	.name = "cloopw",
	.probe = native_probe,
	.open = native_open,
	.close = native_close,
	.locate = native_locate,
};
