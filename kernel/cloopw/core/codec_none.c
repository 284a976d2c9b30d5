// SPDX-License-Identifier: GPL-2.0
/* No compression: for data that does not shrink, and for --codec none. */
#include "codec.h"

int cw_none_create(void **ctx, int level, u32 max_len)
{
	*ctx = NULL;
	return 0;
}

void cw_none_destroy(void *ctx)
{
}

int cw_none_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len)
{
	if (src_len != dst_len)
		return -EIO;
	memcpy(dst, src, dst_len);
	return 0;
}

/* No block shrinks, so the caller stores it uncompressed. */
int cw_none_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len)
{
	return 0;
}
