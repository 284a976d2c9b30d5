// SPDX-License-Identifier: GPL-2.0
/* The context is the compressor's hash table, or NULL. */
#include "../core/codec.h"

#include <linux/lz4.h>

int cw_lz4_create(void **ctx, int level, u32 max_len)
{
	*ctx = NULL;
	if (level < 0)
		return 0;
	*ctx = cw_alloc(LZ4_MEM_COMPRESS);
	return *ctx ? 0 : -ENOMEM;
}

void cw_lz4_destroy(void *ctx)
{
	cw_free(ctx);
}

int cw_lz4_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len)
{
	return LZ4_compress_default(src, dst, src_len, dst_cap, ctx);
}

int cw_lz4_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len)
{
	int len = LZ4_decompress_safe(src, dst, src_len, dst_len);

	return len >= 0 && (u32)len == dst_len ? 0 : -EIO;
}
