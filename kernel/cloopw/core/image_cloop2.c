// SPDX-License-Identifier: GPL-2.0
/* cloop V2.0: zlib streams behind an index of 64-bit offsets. */
#include "cloop.h"

static struct cw_cloop_entry cloop2_decode(const u8 *disk)
{
	__be64 offset;

	memcpy(&offset, disk, sizeof(offset));
	return (struct cw_cloop_entry){
		.offset = cw_from_be64(offset),
		.codec = CW_CODEC_ZLIB,
	};
}

/* Room for zlib's own bound for data that does not shrink. */
static const struct cw_cloop_version cloop2 = {
	.entry_len = sizeof(__be64),
	.codecs = CW_CODEC_BIT(CW_CODEC_ZLIB),
	.overhead = 1000,
	.decode = cloop2_decode,
};

static bool cloop2_probe(const struct cw_image_ends *ends)
{
	return cw_cloop_has_signature(ends->head, ends->head_len,
				      CW_CLOOP2_SIGNATURE);
}

static int cloop2_open(struct cw_image *img, struct cw_report *report)
{
	return cw_cloop_open(img, &cloop2, false, report);
}

const struct cw_image_format cw_image_cloop2 = {
	.name = "cloop2",
	.probe = cloop2_probe,
	.open = cloop2_open,
	.close = cw_cloop_close,
	.locate = cw_cloop_locate,
};
