// SPDX-License-Identifier: GPL-2.0
#include "codec.h"

/* lz4 before lz4hc: both write id 2, and the first of an id decompresses. */
const struct cw_codec *const cw_codecs[] = {
	&cw_codec_none, &cw_codec_zlib, &cw_codec_lz4,
	&cw_codec_lz4hc, &cw_codec_zstd, &cw_codec_xz, &cw_codec_lzo,
};

const unsigned int cw_codecs_count = ARRAY_SIZE(cw_codecs);

const struct cw_codec *cw_codec_by_id(unsigned int id)
{
	unsigned int i;

	for (i = 0; i < cw_codecs_count; i++)
		if (cw_codecs[i]->id == id)
			return cw_codecs[i];
	return NULL;
}

const struct cw_codec *cw_codec_by_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < cw_codecs_count; i++)
		if (!strcmp(cw_codecs[i]->name, name))
			return cw_codecs[i];
	return NULL;
}
