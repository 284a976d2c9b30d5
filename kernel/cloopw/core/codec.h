/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Codecs. One file and one row of cw_codecs[] a codec.
 *
 * Three lifetimes are kept apart: the ops are constant, a context belongs to
 * one thread at a time (workspace.h hands them out), source and destination
 * belong to the call.
 */
#ifndef CLOOPW_CODEC_H
#define CLOOPW_CODEC_H

#include "platform.h"

/* On-disk ids of cloopw images and COW logs. */
enum cw_codec_id {
	CW_CODEC_NONE = 0,
	CW_CODEC_ZLIB = 1,
	CW_CODEC_LZ4 = 2,
	CW_CODEC_ZSTD = 3,
	CW_CODEC_XZ = 4,
	CW_CODEC_LZO = 5,
	CW_CODEC_IDS,
};

#define CW_CODEC_BIT(id) (1u << (id))

struct cw_codec {
	const char *name; /* as in --codec */
	u8 id;
	int min_level;
	int max_level;
	int default_level;

	/*
	 * A context for blocks of up to max_len bytes. level < 0 makes one
	 * that only decompresses. -EOPNOTSUPP: this world cannot compress
	 * with it. NULL ops: the codec needs no context.
	 */
	int (*create)(void **ctx, int level, u32 max_len);
	void (*destroy)(void *ctx);

	/*
	 * 0 when src is one complete stream of exactly dst_len bytes, else
	 * -EIO; dst is then undefined. src is hostile: never reads or writes
	 * outside of the two buffers.
	 */
	int (*decompress)(void *ctx, void *dst, u32 dst_len, const void *src,
			  u32 src_len);

	/*
	 * Length of the result (<= dst_cap), 0 when it does not fit, or
	 * -errno. Same input, level and library: same output.
	 */
	int (*compress)(void *ctx, void *dst, u32 dst_cap, const void *src,
			u32 src_len);
};

extern const struct cw_codec cw_codec_none;
extern const struct cw_codec cw_codec_zlib;
extern const struct cw_codec cw_codec_lz4;
extern const struct cw_codec cw_codec_lz4hc;
extern const struct cw_codec cw_codec_zstd;
extern const struct cw_codec cw_codec_xz;
extern const struct cw_codec cw_codec_lzo;

/* All that are built in; lz4hc writes what lz4 reads and shares its id. */
extern const struct cw_codec *const cw_codecs[];
extern const unsigned int cw_codecs_count;

/* NULL when there is none. By id: the one that decompresses it. */
const struct cw_codec *cw_codec_by_id(unsigned int id);
const struct cw_codec *cw_codec_by_name(const char *name);

#endif
