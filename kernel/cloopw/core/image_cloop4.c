// SPDX-License-Identifier: GPL-2.0
/*
 * cloop V4.0: V2.0 with two changes. Each block has a codec of its own, in the
 * top bits of its offset. Header and index may be at the end of the file.
 */
#include "cloop.h"

static u8 codec_of(u64 entry)
{
	switch (entry >> CW_CLOOP4_OFFSET_BITS) {
	case CW_CLOOP4_ZLIB:
		return CW_CODEC_ZLIB;
	case CW_CLOOP4_NONE:
		return CW_CODEC_NONE;
	case CW_CLOOP4_XZ:
		return CW_CODEC_XZ;
	case CW_CLOOP4_LZ4:
		return CW_CODEC_LZ4;
	case CW_CLOOP4_LZO:
		return CW_CODEC_LZO;
	default:
		return CW_CODEC_IDS;
	}
}

static struct cw_cloop_entry cloop4_decode(const u8 *disk)
{
	__be64 be;
	u64 entry;

	memcpy(&be, disk, sizeof(be));
	entry = cw_from_be64(be);
	return (struct cw_cloop_entry){
		.offset = entry & ((1ull << CW_CLOOP4_OFFSET_BITS) - 1),
		.codec = codec_of(entry),
	};
}

/* lzo grows most. */
static const struct cw_cloop_version cloop4 = {
	.entry_len = sizeof(__be64),
	.codecs = CW_CODEC_BIT(CW_CODEC_ZLIB) | CW_CODEC_BIT(CW_CODEC_NONE) |
		  CW_CODEC_BIT(CW_CODEC_XZ) | CW_CODEC_BIT(CW_CODEC_LZ4) |
		  CW_CODEC_BIT(CW_CODEC_LZO),
	.overhead = 16,
	.decode = cloop4_decode,
};

static bool begins_with_header(const u8 *head, u32 len)
{
	return cw_cloop_has_signature(head, len, CW_CLOOP4_SIGNATURE);
}

static bool cloop4_probe(const struct cw_image_ends *ends)
{
	return begins_with_header(ends->head, ends->head_len) ||
	       begins_with_header(ends->tail, ends->tail_len);
}

/* A file with both headers has the one at its beginning. */
static int cloop4_open(struct cw_image *img, struct cw_report *report)
{
	u8 head[CW_CLOOP_SIGNATURE_AT + sizeof(CW_CLOOP4_SIGNATURE)];
	u32 len = cw_min(sizeof(head), img->io_size);
	int err = cw_pread(img->io, head, len, 0);

	if (err)
		return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
				 "%s: the header cannot be read",
				 img->io->name);
	return cw_cloop_open(img, &cloop4, !begins_with_header(head, len),
			     report);
}

const struct cw_image_format cw_image_cloop4 = {
	.name = "cloop4",
	.probe = cloop4_probe,
	.open = cloop4_open,
	.close = cw_cloop_close,
	.locate = cw_cloop_locate,
};
