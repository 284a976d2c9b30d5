// SPDX-License-Identifier: GPL-2.0
#include "cloop.h"

#define CLOOP_MAX_ENTRY 8

struct cloop {
	const struct cw_cloop_version *version;
	u64 index; /* place of the index in the file */
	u64 begin; /* blocks lie from here */
	u64 end;   /* to here */
};

bool cw_cloop_has_signature(const u8 *head, u32 len, const char *signature)
{
	return len > CW_CLOOP_SIGNATURE_AT + strlen(signature) &&
	       !memcmp(head, "#!", 2) &&
	       !memcmp(head + CW_CLOOP_SIGNATURE_AT, signature,
		       strlen(signature));
}

static int check_geometry(struct cw_image *img,
			  const struct cw_disk_cloop_head *head,
			  struct cw_report *report)
{
	u32 block_size = cw_from_be32(head->block_size);
	u32 blocks = cw_from_be32(head->blocks);

	if (block_size < CW_IMAGE_MIN_BLOCK ||
	    block_size > CW_IMAGE_MAX_BLOCK || block_size % CW_SECTOR_SIZE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: block size %u is not a multiple of %u within %u..%u",
				 img->io->name, block_size, CW_SECTOR_SIZE,
				 CW_IMAGE_MIN_BLOCK, CW_IMAGE_MAX_BLOCK);
	if (!blocks)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: has no blocks", img->io->name);
	img->block_size = block_size;
	img->size = (u64)blocks * block_size; /* 32 x 22 bits: fits */
	img->blocks = blocks;
	return 0;
}

/* Finds the place of the index, and the range for blocks. */
static int place_index(struct cw_image *img, struct cloop *cloop, bool trailing,
		       struct cw_report *report)
{
	const u64 head = sizeof(struct cw_disk_cloop_head);
	u64 len = (img->blocks + 1) * cloop->version->entry_len;

	if (head + len > img->io_size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: its index of %llu blocks needs %llu bytes, the file has %llu",
				 img->io->name, img->blocks, head + len,
				 img->io_size);
	if (trailing) {
		cloop->begin = 0;
		cloop->end = img->io_size - head - len;
		cloop->index = cloop->end;
	} else {
		cloop->index = head;
		cloop->begin = head + len;
		cloop->end = img->io_size;
	}
	return 0;
}

static u64 entry_at(const struct cloop *cloop, u64 n)
{
	return cloop->index + n * cloop->version->entry_len;
}

static int check_end(struct cw_image *img, const struct cloop *cloop,
		     struct cw_report *report)
{
	u8 disk[CLOOP_MAX_ENTRY];
	u64 end;
	int err;

	err = cw_pread(img->io, disk, cloop->version->entry_len,
		       entry_at(cloop, img->blocks));
	if (err)
		return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
				 "%s: the index cannot be read", img->io->name);
	end = cloop->version->decode(disk).offset;
	if (end > img->io_size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: the last block ends at byte %llu, the file has %llu",
				 img->io->name, end, img->io_size);
	if (end < cloop->begin || end > cloop->end)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: the last block ends at byte %llu, inside the index",
				 img->io->name, end);
	img->stored_bytes = img->io_size - cloop->end + end;
	return 0;
}

static int read_head(struct cw_image *img, struct cloop *cloop, bool trailing,
		     struct cw_report *report)
{
	struct cw_disk_cloop_head head;
	int err;

	if (img->io_size < sizeof(head))
		return cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				 "%s: truncated: %llu bytes are less than a cloop header",
				 img->io->name, img->io_size);
	err = cw_pread(img->io, &head, sizeof(head),
		       trailing ? img->io_size - sizeof(head) : 0);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
				 "%s: the header cannot be read",
				 img->io->name);
	err = check_geometry(img, &head, report);
	if (!err)
		err = place_index(img, cloop, trailing, report);
	if (!err)
		err = check_end(img, cloop, report);
	return err;
}

int cw_cloop_open(struct cw_image *img, const struct cw_cloop_version *version,
		  bool trailing, struct cw_report *report)
{
	struct cloop *cloop = cw_alloc(sizeof(*cloop));
	int err;

	if (!cloop)
		return -ENOMEM;
	cloop->version = version;
	err = read_head(img, cloop, trailing, report);
	if (err) {
		cw_free(cloop);
		return err;
	}
	img->max_stored = img->block_size + img->block_size / version->overhead +
			  128;
	img->codecs = version->codecs;
	img->priv = cloop;
	return 0;
}

void cw_cloop_close(struct cw_image *img)
{
	cw_free(img->priv);
	img->priv = NULL;
}

int cw_cloop_locate(struct cw_image *img, u64 n, struct cw_extent *extent)
{
	const struct cloop *cloop = img->priv;
	const struct cw_cloop_version *version = cloop->version;
	struct cw_cloop_entry block;
	u8 disk[2 * CLOOP_MAX_ENTRY];
	u64 end;
	int err;

	err = cw_image_read_index(img, entry_at(cloop, n),
				  2 * version->entry_len, disk);
	if (err)
		return err;
	block = version->decode(disk);
	end = version->decode(disk + version->entry_len).offset;
	if (block.codec == CW_CODEC_IDS || block.offset < cloop->begin ||
	    end <= block.offset || end > cloop->end ||
	    end - block.offset > img->max_stored)
		return -EIO;
	*extent = (struct cw_extent){
		.offset = block.offset,
		.stored = end - block.offset,
		.codec = block.codec,
	};
	return 0;
}
