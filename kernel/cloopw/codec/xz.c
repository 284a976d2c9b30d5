// SPDX-License-Identifier: GPL-2.0
/* The destination is the dictionary, so hostile sizes cost nothing. */
#include "../core/codec.h"

#include <linux/xz.h>

int cw_xz_create(void **ctx, int level, u32 max_len)
{
	*ctx = NULL;
	if (level >= 0)
		return -EOPNOTSUPP;
	*ctx = xz_dec_init(XZ_SINGLE, 0);
	return *ctx ? 0 : -ENOMEM;
}

void cw_xz_destroy(void *ctx)
{
	xz_dec_end(ctx);
}

int cw_xz_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		   u32 src_len)
{
	return -EOPNOTSUPP;
}

int cw_xz_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		     u32 src_len)
{
	struct xz_buf buf = {
		.in = src,
		.in_size = src_len,
		.out = dst,
		.out_size = dst_len,
	};

	xz_dec_reset(ctx);
	if (xz_dec_run(ctx, &buf) != XZ_STREAM_END)
		return -EIO;
	return buf.in_pos == src_len && buf.out_pos == dst_len ? 0 : -EIO;
}
