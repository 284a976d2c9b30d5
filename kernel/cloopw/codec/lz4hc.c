// SPDX-License-Identifier: GPL-2.0
/* lz4hc searches longer for the format of lz4, and lz4 reads it. */
#include "../core/codec.h"

#include <linux/lz4.h>

struct lz4hc {
	int level;
	void *state;
};

int cw_lz4hc_create(void **ctx, int level, u32 max_len)
{
	struct lz4hc *hc;

	*ctx = NULL;
	if (level < 0)
		return 0;
	hc = cw_alloc(sizeof(*hc));
	if (!hc)
		return -ENOMEM;
	hc->level = level;
	hc->state = cw_alloc(LZ4HC_MEM_COMPRESS);
	if (!hc->state) {
		cw_lz4hc_destroy(hc);
		return -ENOMEM;
	}
	*ctx = hc;
	return 0;
}

void cw_lz4hc_destroy(void *ctx)
{
	struct lz4hc *hc = ctx;

	if (!hc)
		return;
	cw_free(hc->state);
	cw_free(hc);
}

int cw_lz4hc_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		      u32 src_len)
{
	struct lz4hc *hc = ctx;

	return LZ4_compress_HC(src, dst, src_len, dst_cap, hc->level,
			       hc->state);
}
