// SPDX-License-Identifier: GPL-2.0
/* The context is the compressor's hash table, or NULL. */
#include "codec.h"

#include <lz4.h>
#include <stdlib.h>

int cw_lz4_create(void **ctx, int level, u32 max_len)
{
	(void)max_len;
	*ctx = NULL;
	if (level < 0)
		return 0;
	*ctx = malloc((size_t)LZ4_sizeofState());
	return *ctx ? 0 : -ENOMEM;
}

void cw_lz4_destroy(void *ctx)
{
	free(ctx);
}

int cw_lz4_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len)
{
	return LZ4_compress_fast_extState(ctx, src, dst, (int)src_len,
					  (int)dst_cap, 1);
}

int cw_lz4_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len)
{
	int len;

	(void)ctx;
	len = LZ4_decompress_safe(src, dst, (int)src_len, (int)dst_len);
	return len >= 0 && (u32)len == dst_len ? 0 : -EIO;
}
