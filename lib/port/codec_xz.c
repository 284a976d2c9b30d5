// SPDX-License-Identifier: GPL-2.0
/*
 * The check is a CRC32, and the only filter is LZMA2, because the kernel's
 * decompressor takes only that.
 */
#include "codec.h"

#include <lzma.h>
#include <stdlib.h>

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
