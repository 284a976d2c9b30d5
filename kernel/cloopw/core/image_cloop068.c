// SPDX-License-Identifier: GPL-2.0
/*
 * cloop V0.68, from before cloop 1.0: zlib streams behind an index of 32-bit
 * offsets. Its preamble names no version, so the probe asks for more. Either the
 * preamble is a script that speaks of cloop, or the first block lies where the
 * index ends.
 */
#include "cloop.h"

static struct cw_cloop_entry cloop068_decode(const u8 *disk)
{
	__be32 offset;

	memcpy(&offset, disk, sizeof(offset));
	return (struct cw_cloop_entry){
		.offset = cw_from_be32(offset),
		.codec = CW_CODEC_ZLIB,
	};
}

static const struct cw_cloop_version cloop068 = {
	.entry_len = sizeof(__be32),
	.codecs = CW_CODEC_BIT(CW_CODEC_ZLIB),
	.overhead = 1000,
	.decode = cloop068_decode,
};

static bool speaks_of_cloop(const u8 *preamble)
{
	u32 i;

	for (i = 0; i + 5 <= CW_CLOOP_PREAMBLE_LEN; i++)
		if (!memcmp(preamble + i, "cloop", 5))
			return true;
	return false;
}

static bool first_block_fits(const u8 *file)
{
	const u64 index = sizeof(struct cw_disk_cloop_head);
	struct cw_disk_cloop_head head;

	memcpy(&head, file, sizeof(head));
	return cloop068_decode(file + index).offset ==
	       index + (cw_from_be32(head.blocks) + 1ull) * sizeof(__be32);
}

static bool cloop068_probe(const struct cw_image_ends *ends)
{
	const u8 *head = ends->head;
	u32 len = ends->head_len;

	if (len < CW_CLOOP_PREAMBLE_LEN || memcmp(head, "#!", 2) ||
	    cw_cloop_has_signature(head, len, CW_CLOOP2_SIGNATURE) ||
	    cw_cloop_has_signature(head, len, CW_CLOOP4_SIGNATURE))
		return false;
	return speaks_of_cloop(head) ||
	       (len >= sizeof(struct cw_disk_cloop_head) + sizeof(__be32) &&
		first_block_fits(head));
}

static int cloop068_open(struct cw_image *img, struct cw_report *report)
{
	return cw_cloop_open(img, &cloop068, false, report);
}

const struct cw_image_format cw_image_cloop068 = {
	.name = "cloop068",
	.probe = cloop068_probe,
	.open = cloop068_open,
	.close = cw_cloop_close,
	.locate = cw_cloop_locate,
};
