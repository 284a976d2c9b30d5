// SPDX-License-Identifier: GPL-2.0
/* LZ4 blocks without a frame; lz4hc searches longer for the same format. */
#include "codec.h"
#include "codec_lib.h"

const struct cw_codec cw_codec_lz4 = {
	.name = "lz4",
	.id = CW_CODEC_LZ4,
	.min_level = 1,
	.max_level = 1,
	.default_level = 1,
	.create = cw_lz4_create,
	.destroy = cw_lz4_destroy,
	.decompress = cw_lz4_decompress,
	.compress = cw_lz4_compress,
};

const struct cw_codec cw_codec_lz4hc = {
	.name = "lz4hc",
	.id = CW_CODEC_LZ4,
	.min_level = 1,
	.max_level = 12,
	.default_level = 9,
	.create = cw_lz4hc_create,
	.destroy = cw_lz4hc_destroy,
	.decompress = cw_lz4_decompress,
	.compress = cw_lz4hc_compress,
};
