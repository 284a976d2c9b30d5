/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Codecs. A codec is one row of CW_CODECS and one file a world: the kernel's
 * libraries are called by codec/NAME.c, userspace's by lib/port/codec_NAME.c.
 *
 * Three lifetimes are kept apart. The ops are constant. A context belongs to
 * one thread at a time, and workspace.h hands them out. Source and destination
 * belong to the call.
 */
#ifndef CLOOPW_CODEC_H
#define CLOOPW_CODEC_H

#include "platform.h"

/*
 * A row: constant, name, id on the disk, the world that has it (BOTH or
 * USERSPACE), its levels (lowest, highest, default), and its stream. make lists
 * writes that into docs/reference/format.md. The ids rise. lz4 comes before lz4hc: both
 * write id 2, and the first of an id decompresses.
 */
#define CW_CODECS(CODEC) \
	CODEC(NONE, none, 0, BOTH, 0, 0, 0, \
	      "the bytes themselves; `stored` is the block's length") \
	CODEC(ZLIB, zlib, 1, BOTH, 1, CW_ZLIB_MAX_LEVEL, 6, "RFC 1950") \
	CODEC(LZ4, lz4, 2, BOTH, 1, 1, 1, "an LZ4 block, no frame") \
	CODEC(LZ4HC, lz4hc, 2, BOTH, 1, 12, 9, "the same, searched longer for") \
	CODEC(ZSTD, zstd, 3, BOTH, 1, 22, 9, \
	      "a Zstandard frame (RFC 8878), no dictionary") \
	CODEC(XZ, xz, 4, BOTH, 0, 9, 6, \
	      "an .xz stream; only the filter LZMA2, a check of CRC32 or none") \
	CODEC(LZO, lzo, 5, BOTH, 1, 9, 8, \
	      "an LZO1X stream, without a header") \
	CODEC(BROTLI, brotli, 6, USERSPACE, 0, 11, 9, \
	      "a Brotli stream (RFC 7932)")

#define CW_CODEC_CONSTANT(ID, name, id, ...) CW_CODEC_##ID = (id),

/* On-disk ids of cloopw images and COW logs. */
enum cw_codec_id {
	CW_CODECS(CW_CODEC_CONSTANT)
	CW_CODEC_IDS,
};

#undef CW_CODEC_CONSTANT

#define CW_CODEC_BIT(id) BIT(id)

enum cw_codec_world {
	CW_CODEC_BOTH,
	CW_CODEC_USERSPACE, /* the kernel only knows its name */
};

struct cw_codec {
	const char *name; /* argument of --codec */
	u8 id;
	int min_level;
	int max_level;
	int default_level;
	enum cw_codec_world world;

	/*
	 * Creates a context for blocks of up to max_len bytes. With level < 0
	 * the context only decompresses; NULL where it has no state.
	 * -EOPNOTSUPP: this world cannot compress with the codec, as the kernel
	 * with xz and lzo.
	 */
	int (*create)(void **ctx, int level, u32 max_len);
	void (*destroy)(void *ctx); /* accepts NULL */

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

/* Each codec, and its ops by name: cw_zstd_create() and so on. */
#define CW_CODEC_DECLARE(ID, name, ...) \
	extern const struct cw_codec cw_codec_##name; \
	int cw_##name##_create(void **ctx, int level, u32 max_len); \
	void cw_##name##_destroy(void *ctx); \
	int cw_##name##_decompress(void *ctx, void *dst, u32 dst_len, \
				   const void *src, u32 src_len); \
	int cw_##name##_compress(void *ctx, void *dst, u32 dst_cap, \
				 const void *src, u32 src_len);

CW_CODECS(CW_CODEC_DECLARE)

#undef CW_CODEC_DECLARE

/* All codecs, also those that this world only knows. */
extern const struct cw_codec *const cw_codecs[];
extern const unsigned int cw_codecs_count;

/* NULL: there is none. By id, the result is the codec that decompresses it. */
const struct cw_codec *cw_codec_by_id(unsigned int id);
const struct cw_codec *cw_codec_by_name(const char *name);

/* Has this world the codec? If not, it has no ops. */
static inline bool cw_codec_is_here(const struct cw_codec *codec)
{
	return codec->decompress;
}

#endif
