// SPDX-License-Identifier: GPL-2.0
/*
 * The library makes a state for each stream. It has no call that begins again
 * with the memory that there is.
 */
#include "codec.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdlib.h>

struct brotli {
	int level;
	u32 window;     /* the least that covers a block, in bits */
	bool no_memory; /* the encoder does not tell why it failed */
};

static void *brotli_alloc(void *opaque, size_t size)
{
	struct brotli *brotli = opaque;
	void *mem = malloc(size);

	brotli->no_memory |= !mem;
	return mem;
}

static void brotli_free(void *opaque, void *mem)
{
	(void)opaque;
	free(mem);
}

static u32 brotli_window(u32 max_len)
{
	u32 bits = BROTLI_MIN_WINDOW_BITS;

	while (bits < BROTLI_MAX_WINDOW_BITS && (1u << bits) - 16 < max_len)
		bits++;
	return bits;
}

int cw_brotli_create(void **ctx, int level, u32 max_len)
{
	struct brotli *brotli = calloc(1, sizeof(*brotli));

	*ctx = brotli;
	if (!brotli)
		return -ENOMEM;
	brotli->level = level;
	brotli->window = brotli_window(max_len);
	return 0;
}

void cw_brotli_destroy(void *ctx)
{
	free(ctx);
}

int cw_brotli_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		       u32 src_len)
{
	struct brotli *brotli = ctx;
	BrotliEncoderState *encoder;
	const u8 *next_in = src;
	size_t in = src_len, out = dst_cap;
	u8 *next_out = dst;
	bool done;

	brotli->no_memory = false;
	encoder =
		BrotliEncoderCreateInstance(brotli_alloc, brotli_free, brotli);
	if (!encoder)
		return -ENOMEM;
	done = BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY,
					 (u32)brotli->level) &&
	       BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN,
					 brotli->window) &&
	       BrotliEncoderSetParameter(encoder, BROTLI_PARAM_SIZE_HINT,
					 src_len) &&
	       BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH,
					   &in, &next_in, &out, &next_out,
					   NULL) &&
	       BrotliEncoderIsFinished(encoder);
	BrotliEncoderDestroyInstance(encoder);
	if (brotli->no_memory)
		return -ENOMEM;
	return done ? (int)(dst_cap - out) : 0;
}

int cw_brotli_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
			 u32 src_len)
{
	struct brotli *brotli = ctx;
	BrotliDecoderState *decoder;
	BrotliDecoderResult result;
	const u8 *next_in = src;
	size_t in = src_len, out = dst_len;
	u8 *next_out = dst;

	brotli->no_memory = false;
	decoder =
		BrotliDecoderCreateInstance(brotli_alloc, brotli_free, brotli);
	if (!decoder)
		return -ENOMEM;
	result = BrotliDecoderDecompressStream(decoder, &in, &next_in, &out,
					       &next_out, NULL);
	BrotliDecoderDestroyInstance(decoder);
	if (brotli->no_memory)
		return -ENOMEM;
	return result == BROTLI_DECODER_RESULT_SUCCESS && !in && !out ? 0 :
									-EIO;
}
