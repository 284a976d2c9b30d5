// SPDX-License-Identifier: GPL-2.0
/*
 * .xz streams: the smallest, and the slowest to read. The check is a CRC32 or
 * none, and the only filter is LZMA2, because the kernel's decompressor takes
 * only that.
 */
#include "codec.h"
#include "codec_lib.h"

const struct cw_codec cw_codec_xz = {
	.name = "xz",
	.id = CW_CODEC_XZ,
	.min_level = 0,
	.max_level = 9,
	.default_level = 6,
	.create = cw_xz_create,
	.destroy = cw_xz_destroy,
	.decompress = cw_xz_decompress,
	.compress = cw_xz_compress,
};
