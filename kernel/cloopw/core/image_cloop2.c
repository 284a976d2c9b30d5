// SPDX-License-Identifier: GPL-2.0
/*
 * cloop V2.0: zlib streams behind a table of 64-bit big-endian offsets.
 * Described in the header comment of cloop.h, Debian package cloop-src.
 */
#include "format.h"
#include "image.h"

/* zlib's own bound for data that does not shrink, and the old tool's. */
static u32 cloop2_max_stored(u32 block_size)
{
	return block_size + block_size / 1000 + 64;
}

static bool cloop2_probe(const u8 *head, u32 len)
{
	return len > CW_CLOOP_SIGNATURE_AT + strlen(CW_CLOOP2_SIGNATURE) &&
	       !memcmp(head, "#!", 2) &&
	       !memcmp(head + CW_CLOOP_SIGNATURE_AT, CW_CLOOP2_SIGNATURE,
		       strlen(CW_CLOOP2_SIGNATURE));
}

static u64 cloop2_entry_at(u64 n)
{
	return sizeof(struct cw_disk_cloop_head) + n * sizeof(__be64);
}

static int cloop2_check_end(struct cw_image *img, u64 blocks,
			    struct cw_report *report)
{
	__be64 last;
	u64 end;
	int err;

	if (cw_outside(0, cloop2_entry_at(blocks + 1), img->io_size))
		return cw_refuse(report, -EINVAL,
				 "%s: truncated: its index of %llu blocks needs %llu bytes, the file has %llu",
				 img->io->name, blocks,
				 cloop2_entry_at(blocks + 1), img->io_size);
	err = cw_pread(img->io, &last, sizeof(last), cloop2_entry_at(blocks));
	if (err)
		return cw_refuse(report, err, "%s: the index cannot be read",
				 img->io->name);
	end = cw_from_be64(last);
	if (end > img->io_size)
		return cw_refuse(report, -EINVAL,
				 "%s: truncated: the last block ends at byte %llu, the file has %llu",
				 img->io->name, end, img->io_size);
	if (end < cloop2_entry_at(blocks + 1))
		return cw_refuse(report, -EINVAL,
				 "%s: the last block ends at byte %llu, inside the index",
				 img->io->name, end);
	img->stored_bytes = end;
	return 0;
}

static int cloop2_open(struct cw_image *img, struct cw_report *report)
{
	struct cw_disk_cloop_head head;
	u32 block_size, blocks;
	int err;

	if (img->io_size < sizeof(head))
		return cw_refuse(report, -EINVAL,
				 "%s: truncated: %llu bytes are less than a cloop header",
				 img->io->name, img->io_size);
	err = cw_pread(img->io, &head, sizeof(head), 0);
	if (err)
		return cw_refuse(report, err, "%s: the header cannot be read",
				 img->io->name);
	block_size = cw_from_be32(head.block_size);
	blocks = cw_from_be32(head.blocks);
	if (block_size < CW_IMAGE_MIN_BLOCK ||
	    block_size > CW_IMAGE_MAX_BLOCK || block_size % CW_SECTOR_SIZE)
		return cw_refuse(report, -EINVAL,
				 "%s: block size %u is not a multiple of %u within %u..%u",
				 img->io->name, block_size, CW_SECTOR_SIZE,
				 CW_IMAGE_MIN_BLOCK, CW_IMAGE_MAX_BLOCK);
	if (!blocks)
		return cw_refuse(report, -EINVAL, "%s: has no blocks",
				 img->io->name);
	err = cloop2_check_end(img, blocks, report);
	if (err)
		return err;
	img->block_size = block_size;
	img->size = (u64)blocks * block_size; /* 32 x 22 bits: fits */
	img->max_stored = cloop2_max_stored(block_size);
	img->codecs = CW_CODEC_BIT(CW_CODEC_ZLIB);
	return 0;
}

static void cloop2_close(struct cw_image *img)
{
}

static int cloop2_locate(struct cw_image *img, u64 n, struct cw_extent *extent)
{
	__be64 entry[2];
	u64 begin, end;
	int err;

	err = cw_image_read_index(img, cloop2_entry_at(n), sizeof(entry), entry);
	if (err)
		return err;
	begin = cw_from_be64(entry[0]);
	end = cw_from_be64(entry[1]);
	if (begin < cloop2_entry_at(img->blocks + 1) || end <= begin ||
	    end > img->io_size || end - begin > img->max_stored)
		return -EIO;
	*extent = (struct cw_extent){
		.offset = begin,
		.stored = end - begin,
		.codec = CW_CODEC_ZLIB,
	};
	return 0;
}

const struct cw_image_format cw_image_cloop2 = {
	.name = "cloop2",
	.probe = cloop2_probe,
	.open = cloop2_open,
	.close = cloop2_close,
	.locate = cloop2_locate,
};
