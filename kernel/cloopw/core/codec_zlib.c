// SPDX-License-Identifier: GPL-2.0
/* zlib streams (RFC 1950). */
#include "codec.h"
#include "codec_lib.h"

/* Levels above 9 exist only in userspace; the stream is the same. */
const struct cw_codec cw_codec_zlib = {
	.name = "zlib",
	.id = CW_CODEC_ZLIB,
	.min_level = 1,
	.max_level = CW_ZLIB_MAX_LEVEL,
	.default_level = 6,
	.create = cw_zlib_create,
	.destroy = cw_zlib_destroy,
	.decompress = cw_zlib_decompress,
	.compress = cw_zlib_compress,
};
