/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Codecs. A codec is one file and one row of cw_codecs[].
 *
 * Three lifetimes are kept apart. The ops are constant. A context belongs to
 * one thread at a time, and workspace.h hands them out. Source and destination
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

#define CW_CODEC_BIT(id) BIT(id)

struct cw_codec {
	const char *name; /* argument of --codec */
	u8 id;
	int min_level;
	int max_level;
	int default_level;

	/*
	 * Creates a context for blocks of up to max_len bytes. With level < 0
	 * the context only decompresses. -EOPNOTSUPP: this world cannot
	 * compress with the codec. NULL ops: the codec needs no context.
	 */
	int (*create)(void **ctx, int level, u32 max_len);
	void (*destroy)(void *ctx);

	/*
	 * Returns 0 when src is one complete stream of exactly dst_len bytes.
	 * Otherwise returns -EIO, and dst is undefined. src is hostile: the
	 * codec never reads or writes outside of the two buffers.
	 */
	int (*decompress)(void *ctx, void *dst, u32 dst_len, const void *src,
			  u32 src_len);

	/*
	 * Returns the length of the result (<= dst_cap), 0 when it does not
	 * fit, or -errno. The same input, level and library give the same
	 * output.
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

/* All codecs that are built in. lz4hc writes what lz4 reads, and has its id. */
extern const struct cw_codec *const cw_codecs[];
extern const unsigned int cw_codecs_count;

/* NULL: there is none. By id, the result is the codec that decompresses it. */
const struct cw_codec *cw_codec_by_id(unsigned int id);
const struct cw_codec *cw_codec_by_name(const char *name);

#endif
