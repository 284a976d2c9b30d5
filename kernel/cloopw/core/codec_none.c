// SPDX-License-Identifier: GPL-2.0
/* No compression: for data that does not shrink, and for --codec none. */
#include "codec.h"

static int none_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
			   u32 src_len)
{
	if (src_len != dst_len)
		return -EIO;
	memcpy(dst, src, dst_len);
	return 0;
}

/* No block shrinks, so the caller stores it uncompressed. */
static int none_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
			 u32 src_len)
{
	return 0;
}

const struct cw_codec cw_codec_none = {
	.name = "none",
	.id = CW_CODEC_NONE,
	.decompress = none_decompress,
	.compress = none_compress,
};
