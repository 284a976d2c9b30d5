// SPDX-License-Identifier: GPL-2.0
/* Zstandard frames (RFC 8878) without dictionary. */
#include "codec.h"
#include "codec_lib.h"

const struct cw_codec cw_codec_zstd = {
	.name = "zstd",
	.id = CW_CODEC_ZSTD,
	.min_level = 1,
	.max_level = 22,
	.default_level = 9,
	.create = cw_zstd_create,
	.destroy = cw_zstd_destroy,
	.decompress = cw_zstd_decompress,
	.compress = cw_zstd_compress,
};
