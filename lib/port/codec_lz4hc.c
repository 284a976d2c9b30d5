// SPDX-License-Identifier: GPL-2.0
/* lz4hc searches longer for the format of lz4, and lz4 reads it. */
#include "codec.h"

#include <lz4hc.h>
#include <stdlib.h>

struct lz4hc {
	int level;
	LZ4_streamHC_t *state;
};

int cw_lz4hc_create(void **ctx, int level, u32 max_len)
{
	struct lz4hc *hc;

	(void)max_len;
	*ctx = NULL;
	if (level < 0)
		return 0;
	hc = calloc(1, sizeof(*hc));
	if (!hc)
		return -ENOMEM;
	hc->level = level;
	hc->state = LZ4_createStreamHC();
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
	LZ4_freeStreamHC(hc->state);
	free(hc);
}

int cw_lz4hc_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		      u32 src_len)
{
	struct lz4hc *hc = ctx;

	return LZ4_compress_HC_extStateHC(hc->state, src, dst, (int)src_len,
					  (int)dst_cap, hc->level);
}
