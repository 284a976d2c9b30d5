// SPDX-License-Identifier: GPL-2.0
/* The context is the compressor, or NULL. */
#include "codec.h"

#include <lzo/lzo1x.h>
#include <stdlib.h>

struct lzo {
	int level;
	void *work;
	unsigned char *out; /* the compressor knows no bound: room for all */
	u32 max_len;
};

/* The library's manual: an incompressible block grows by this much. */
static size_t lzo_bound(u32 len)
{
	return (size_t)len + len / 16 + 64 + 3;
}

int cw_lzo_create(void **ctx, int level, u32 max_len)
{
	struct lzo *lzo;

	*ctx = NULL;
	if (level < 0)
		return 0;
	if (lzo_init() != LZO_E_OK)
		return -EINVAL;
	lzo = calloc(1, sizeof(*lzo));
	if (!lzo)
		return -ENOMEM;
	lzo->level = level;
	lzo->max_len = max_len;
	lzo->work = malloc(level == 1 ? LZO1X_1_MEM_COMPRESS :
					LZO1X_999_MEM_COMPRESS);
	lzo->out = malloc(lzo_bound(max_len));
	if (!lzo->work || !lzo->out) {
		cw_lzo_destroy(lzo);
		return -ENOMEM;
	}
	*ctx = lzo;
	return 0;
}

void cw_lzo_destroy(void *ctx)
{
	struct lzo *lzo = ctx;

	if (!lzo)
		return;
	free(lzo->out);
	free(lzo->work);
	free(lzo);
}

int cw_lzo_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len)
{
	struct lzo *lzo = ctx;
	lzo_uint len = 0;
	int ret;

	if (src_len > lzo->max_len)
		return -EINVAL;
	if (lzo->level == 1)
		ret = lzo1x_1_compress(src, src_len, lzo->out, &len, lzo->work);
	else
		ret = lzo1x_999_compress_level(src, src_len, lzo->out, &len,
					       lzo->work, NULL, 0, NULL,
					       lzo->level);
	if (ret != LZO_E_OK)
		return -EIO;
	if (len > dst_cap)
		return 0;
	memcpy(dst, lzo->out, len);
	return (int)len;
}

int cw_lzo_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len)
{
	lzo_uint len = dst_len;

	(void)ctx;
	if (lzo1x_decompress_safe(src, src_len, dst, &len, NULL) != LZO_E_OK)
		return -EIO;
	return len == dst_len ? 0 : -EIO;
}
