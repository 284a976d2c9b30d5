// SPDX-License-Identifier: GPL-2.0
/* Compressor and decompressor live in our workspaces. */
#include "../core/codec.h"

#include <linux/zstd.h>

struct zstd {
	zstd_parameters params;
	zstd_cctx *compressor;
	zstd_dctx *decompressor;
	void *compress_space;
	void *decompress_space;
};

static int zstd_make_decompressor(struct zstd *zstd)
{
	size_t size = zstd_dctx_workspace_bound();

	zstd->decompress_space = cw_alloc(size);
	if (!zstd->decompress_space)
		return -ENOMEM;
	zstd->decompressor = zstd_init_dctx(zstd->decompress_space, size);
	return zstd->decompressor ? 0 : -EINVAL;
}

static int zstd_make_compressor(struct zstd *zstd, int level, u32 max_len)
{
	size_t size;

	zstd->params = zstd_get_params(level, max_len);
	size = zstd_cctx_workspace_bound(&zstd->params.cParams);
	zstd->compress_space = cw_alloc(size);
	if (!zstd->compress_space)
		return -ENOMEM;
	zstd->compressor = zstd_init_cctx(zstd->compress_space, size);
	return zstd->compressor ? 0 : -EINVAL;
}

int cw_zstd_create(void **ctx, int level, u32 max_len)
{
	struct zstd *zstd = cw_alloc(sizeof(*zstd));
	int err;

	*ctx = NULL;
	if (!zstd)
		return -ENOMEM;
	err = zstd_make_decompressor(zstd);
	if (!err && level >= 0)
		err = zstd_make_compressor(zstd, level, max_len);
	if (err) {
		cw_zstd_destroy(zstd);
		return err;
	}
	*ctx = zstd;
	return 0;
}

void cw_zstd_destroy(void *ctx)
{
	struct zstd *zstd = ctx;

	if (!zstd)
		return;
	cw_free(zstd->compress_space);
	cw_free(zstd->decompress_space);
	cw_free(zstd);
}

int cw_zstd_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len)
{
	struct zstd *zstd = ctx;
	size_t len = zstd_compress_cctx(zstd->compressor, dst, dst_cap, src,
					src_len, &zstd->params);

	if (!zstd_is_error(len))
		return len;
	return zstd_get_error_code(len) == ZSTD_error_dstSize_tooSmall ?
	       0 : -EIO;
}

int cw_zstd_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len)
{
	struct zstd *zstd = ctx;
	size_t len = zstd_decompress_dctx(zstd->decompressor, dst, dst_len,
					  src, src_len);

	return len == dst_len ? 0 : -EIO;
}
