// SPDX-License-Identifier: GPL-2.0
/* Its decompressor has no state. */
#include "../core/codec.h"

#include <linux/lzo.h>

int cw_lzo_create(void **ctx, int level, u32 max_len)
{
	*ctx = NULL;
	return level < 0 ? 0 : -EOPNOTSUPP;
}

void cw_lzo_destroy(void *ctx)
{
}

int cw_lzo_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len)
{
	return -EOPNOTSUPP;
}

int cw_lzo_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len)
{
	size_t len = dst_len;

	if (lzo1x_decompress_safe(src, src_len, dst, &len) != LZO_E_OK)
		return -EIO;
	return len == dst_len ? 0 : -EIO;
}
