// SPDX-License-Identifier: GPL-2.0
/* Zlib streams. */
#include "../core/codec.h"

#include <linux/zlib.h>

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
