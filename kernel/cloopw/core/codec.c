// SPDX-License-Identifier: GPL-2.0
#include "codec.h"

/* The op of a codec that is there in BOTH worlds, or in USERSPACE alone. */
#define OP_OF_BOTH(op) op
#define OP_OF_USERSPACE(op) CW_USERSPACE_ONLY(op)

#define DEFINE_CODEC(ID, name_, id_, world_, min, max, level, ...) \
	const struct cw_codec cw_codec_##name_ = { \
		.name = #name_, \
		.id = id_, \
		.min_level = min, \
		.max_level = max, \
		.default_level = level, \
		.world = CW_CODEC_##world_, \
		.create = OP_OF_##world_(cw_##name_##_create), \
		.destroy = OP_OF_##world_(cw_##name_##_destroy), \
		.decompress = OP_OF_##world_(cw_##name_##_decompress), \
		.compress = OP_OF_##world_(cw_##name_##_compress), \
	};

/* lz4 reads what lz4hc writes. */
#define cw_lz4hc_decompress cw_lz4_decompress

CW_CODECS(DEFINE_CODEC)

#define CODEC_ADDRESS(ID, name, ...) &cw_codec_##name,

const struct cw_codec *const cw_codecs[] = { CW_CODECS(CODEC_ADDRESS) };

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
