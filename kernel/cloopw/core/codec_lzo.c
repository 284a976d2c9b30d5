// SPDX-License-Identifier: GPL-2.0
/* LZO1X streams without a header. */
#include "codec.h"
#include "codec_lib.h"

const struct cw_codec cw_codec_lzo = {
	.name = "lzo",
	.id = CW_CODEC_LZO,
	.min_level = 1,
	.max_level = 9,
	.default_level = 8,
	.create = cw_lzo_create,
	.destroy = cw_lzo_destroy,
	.decompress = cw_lzo_decompress,
	.compress = cw_lzo_compress,
};
