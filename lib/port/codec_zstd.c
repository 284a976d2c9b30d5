// SPDX-License-Identifier: GPL-2.0
#include "codec.h"

#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

struct zstd {
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *decompressor;
};

/* Frames carry their length and no checksum: a block has its own. */
static int zstd_set_up(ZSTD_CCtx *compressor, int level)
{
	size_t result;

	result = ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel,
					level);
	return ZSTD_isError(result) ? -EINVAL : 0;
}

int cw_zstd_create(void **ctx, int level, u32 max_len)
{
	struct zstd *zstd = calloc(1, sizeof(*zstd));
	int err = -ENOMEM;

	(void)max_len;
	*ctx = NULL;
	if (!zstd)
		return -ENOMEM;
	zstd->decompressor = ZSTD_createDCtx();
	if (!zstd->decompressor)
		goto destroy;
	if (level >= 0) {
		zstd->compressor = ZSTD_createCCtx();
		if (!zstd->compressor)
			goto destroy;
		err = zstd_set_up(zstd->compressor, level);
		if (err)
			goto destroy;
	}
	*ctx = zstd;
	return 0;

destroy:
	cw_zstd_destroy(zstd);
	return err;
}

void cw_zstd_destroy(void *ctx)
{
	struct zstd *zstd = ctx;

	if (!zstd)
		return;
	ZSTD_freeCCtx(zstd->compressor);
	ZSTD_freeDCtx(zstd->decompressor);
	free(zstd);
}

int cw_zstd_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len)
{
	struct zstd *zstd = ctx;
	size_t len;

	len = ZSTD_compress2(zstd->compressor, dst, dst_cap, src, src_len);
	if (!ZSTD_isError(len))
		return (int)len;
	switch (ZSTD_getErrorCode(len)) {
	case ZSTD_error_dstSize_tooSmall:
		return 0;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

int cw_zstd_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len)
{
	struct zstd *zstd = ctx;
	size_t len;

	len = ZSTD_decompressDCtx(zstd->decompressor, dst, dst_len, src,
				  src_len);
	return len == dst_len ? 0 : -EIO;
}
