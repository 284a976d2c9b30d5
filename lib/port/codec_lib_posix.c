// SPDX-License-Identifier: GPL-2.0
#include "codec_lib.h"

#include <libdeflate.h>
#include <lz4.h>
#include <lz4hc.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* ---- lz4: the context is the compressor's hash table, or NULL ---- */

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

/* ---- lz4hc ---- */

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

int cw_lz4hc_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
			u32 src_len)
{
	return cw_lz4_decompress(ctx, dst, dst_len, src, src_len);
}

/* ---- zstd ---- */

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

/* ---- zlib streams through libdeflate ---- */

struct zlib {
	struct libdeflate_compressor *compressor;
	struct libdeflate_decompressor *decompressor;
};

int cw_zlib_create(void **ctx, int level, u32 max_len)
{
	struct zlib *zlib = calloc(1, sizeof(*zlib));

	(void)max_len;
	*ctx = NULL;
	if (!zlib)
		return -ENOMEM;
	zlib->decompressor = libdeflate_alloc_decompressor();
	if (!zlib->decompressor)
		goto destroy;
	if (level >= 0) {
		zlib->compressor = libdeflate_alloc_compressor(level);
		if (!zlib->compressor)
			goto destroy;
	}
	*ctx = zlib;
	return 0;

destroy:
	cw_zlib_destroy(zlib);
	return -ENOMEM;
}

void cw_zlib_destroy(void *ctx)
{
	struct zlib *zlib = ctx;

	if (!zlib)
		return;
	libdeflate_free_compressor(zlib->compressor);
	libdeflate_free_decompressor(zlib->decompressor);
	free(zlib);
}

int cw_zlib_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len)
{
	struct zlib *zlib = ctx;

	return (int)libdeflate_zlib_compress(zlib->compressor, src, src_len,
					     dst, dst_cap);
}

int cw_zlib_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len)
{
	struct zlib *zlib = ctx;
	size_t used, len;

	if (libdeflate_zlib_decompress_ex(zlib->decompressor, src, src_len, dst,
					  dst_len, &used, &len))
		return -EIO;
	return used == src_len && len == dst_len ? 0 : -EIO;
}

/* ---- xz ---- */

/* More than any preset of xz needs. The demand of a stream is hostile. */
#define XZ_DECODER_MEMORY (160u << 20)

struct xz {
	lzma_stream decoder; /* keeps its memory from block to block */
	bool can_compress;
	lzma_options_lzma options;
};

/*
 * A dictionary is at most as large as a block, because the decoder pays for it.
 */
static int xz_choose_options(struct xz *xz, int level, u32 max_len)
{
	u32 dict = cw_max(max_len, LZMA_DICT_SIZE_MIN);

	if (lzma_lzma_preset(&xz->options, (u32)level))
		return -EINVAL;
	xz->options.dict_size = cw_min(xz->options.dict_size, dict);
	xz->can_compress = true;
	return 0;
}

int cw_xz_create(void **ctx, int level, u32 max_len)
{
	static const lzma_stream none = LZMA_STREAM_INIT;
	struct xz *xz = calloc(1, sizeof(*xz));
	int err = 0;

	*ctx = NULL;
	if (!xz)
		return -ENOMEM;
	xz->decoder = none;
	if (level >= 0)
		err = xz_choose_options(xz, level, max_len);
	if (err) {
		cw_xz_destroy(xz);
		return err;
	}
	*ctx = xz;
	return 0;
}

void cw_xz_destroy(void *ctx)
{
	struct xz *xz = ctx;

	if (!xz)
		return;
	lzma_end(&xz->decoder);
	free(xz);
}

int cw_xz_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		   u32 src_len)
{
	struct xz *xz = ctx;
	lzma_filter filters[] = {
		{ .id = LZMA_FILTER_LZMA2, .options = &xz->options },
		{ .id = LZMA_VLI_UNKNOWN, .options = NULL },
	};
	size_t len = 0;

	if (!xz->can_compress)
		return -EOPNOTSUPP;
	switch (lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, src,
					  src_len, dst, &len, dst_cap)) {
	case LZMA_OK:
		return (int)len;
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

int cw_xz_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		     u32 src_len)
{
	lzma_stream *decoder = &((struct xz *)ctx)->decoder;
	lzma_ret ret;

	ret = lzma_stream_decoder(decoder, XZ_DECODER_MEMORY, 0);
	if (ret != LZMA_OK)
		return ret == LZMA_MEM_ERROR ? -ENOMEM : -EIO;
	decoder->next_in = src;
	decoder->avail_in = src_len;
	decoder->next_out = dst;
	decoder->avail_out = dst_len;
	do
		ret = lzma_code(decoder, LZMA_FINISH);
	while (ret == LZMA_OK);
	if (ret == LZMA_MEM_ERROR)
		return -ENOMEM;
	if (ret != LZMA_STREAM_END)
		return -EIO;
	return decoder->avail_in || decoder->avail_out ? -EIO : 0;
}

/* ---- lzo: the context is the compressor, or NULL ---- */

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
