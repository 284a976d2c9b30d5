// SPDX-License-Identifier: GPL-2.0
#include "core/codec_lib.h"

#include <linux/lz4.h>
#include <linux/lzo.h>
#include <linux/xz.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

/* ---- lz4: the context is the compressor's hash table, or NULL ---- */

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

/* ---- lz4hc ---- */

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

int cw_lz4hc_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
			u32 src_len)
{
	return cw_lz4_decompress(ctx, dst, dst_len, src, src_len);
}

/* ---- zstd: compressor and decompressor live in our workspaces ---- */

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

/* ---- zlib streams ---- */

struct zlib {
	struct z_stream_s deflate; /* its workspace NULL: decompresses only */
	struct z_stream_s inflate;
};

static int zlib_make_inflate(struct zlib *zlib)
{
	zlib->inflate.workspace = cw_alloc(zlib_inflate_workspacesize());
	if (!zlib->inflate.workspace)
		return -ENOMEM;
	return zlib_inflateInit2(&zlib->inflate, MAX_WBITS) == Z_OK ?
	       0 : -EINVAL;
}

static int zlib_make_deflate(struct zlib *zlib, int level)
{
	zlib->deflate.workspace =
		cw_alloc(zlib_deflate_workspacesize(MAX_WBITS, MAX_MEM_LEVEL));
	if (!zlib->deflate.workspace)
		return -ENOMEM;
	return zlib_deflateInit2(&zlib->deflate, level, Z_DEFLATED, MAX_WBITS,
				 MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK ?
	       0 : -EINVAL;
}

int cw_zlib_create(void **ctx, int level, u32 max_len)
{
	struct zlib *zlib = cw_alloc(sizeof(*zlib));
	int err;

	*ctx = NULL;
	if (!zlib)
		return -ENOMEM;
	err = zlib_make_inflate(zlib);
	if (!err && level >= 0)
		err = zlib_make_deflate(zlib, level);
	if (err) {
		cw_zlib_destroy(zlib);
		return err;
	}
	*ctx = zlib;
	return 0;
}

void cw_zlib_destroy(void *ctx)
{
	struct zlib *zlib = ctx;

	if (!zlib)
		return;
	cw_free(zlib->deflate.workspace);
	cw_free(zlib->inflate.workspace);
	cw_free(zlib);
}

int cw_zlib_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len)
{
	struct z_stream_s *stream = &((struct zlib *)ctx)->deflate;

	if (zlib_deflateReset(stream) != Z_OK)
		return -EINVAL;
	stream->next_in = src;
	stream->avail_in = src_len;
	stream->next_out = dst;
	stream->avail_out = dst_cap;
	if (zlib_deflate(stream, Z_FINISH) != Z_STREAM_END)
		return 0;
	return stream->total_out;
}

int cw_zlib_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len)
{
	struct z_stream_s *stream = &((struct zlib *)ctx)->inflate;

	if (zlib_inflateReset(stream) != Z_OK)
		return -EIO;
	stream->next_in = src;
	stream->avail_in = src_len;
	stream->next_out = dst;
	stream->avail_out = dst_len;
	if (zlib_inflate(stream, Z_FINISH) != Z_STREAM_END)
		return -EIO;
	return stream->avail_in || stream->avail_out ? -EIO : 0;
}

/* ---- xz: the destination is the dictionary, so hostile sizes cost nothing ---- */

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

/* ---- lzo: its decompressor has no state ---- */

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
