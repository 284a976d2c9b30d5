// SPDX-License-Identifier: GPL-2.0
/* Zlib streams through libdeflate. */
#include "codec.h"

#include <libdeflate.h>
#include <stdlib.h>

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
