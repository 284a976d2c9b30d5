/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The codec libraries behind one calling convention, for codec_*.c. The
 * kernel's libraries are in codec/NAME.c, and userspace's in
 * lib/port/codec_NAME.c.
 *
 *   cw_X_create()      a context for blocks of up to max_len bytes; level < 0
 *                      makes one that only decompresses. 0 or -errno.
 *   cw_X_destroy()     accepts NULL
 *   cw_X_compress()    length of the result, 0 when it does not fit in
 *                      dst_cap, or -errno
 *   cw_X_decompress()  0, or -EIO unless src is one stream of exactly dst_len
 *                      bytes
 *
 * In the kernel xz and lzo only decompress: create() with a level returns
 * -EOPNOTSUPP.
 */
#ifndef CLOOPW_CODEC_LIB_H
#define CLOOPW_CODEC_LIB_H

#include "platform.h"

int cw_lz4_create(void **ctx, int level, u32 max_len);
void cw_lz4_destroy(void *ctx);
int cw_lz4_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len);
int cw_lz4_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len);

int cw_lz4hc_create(void **ctx, int level, u32 max_len);
void cw_lz4hc_destroy(void *ctx);
int cw_lz4hc_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		      u32 src_len);

int cw_zstd_create(void **ctx, int level, u32 max_len);
void cw_zstd_destroy(void *ctx);
int cw_zstd_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len);
int cw_zstd_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len);

int cw_zlib_create(void **ctx, int level, u32 max_len);
void cw_zlib_destroy(void *ctx);
int cw_zlib_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		     u32 src_len);
int cw_zlib_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		       u32 src_len);

int cw_xz_create(void **ctx, int level, u32 max_len);
void cw_xz_destroy(void *ctx);
int cw_xz_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		   u32 src_len);
int cw_xz_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		     u32 src_len);

int cw_lzo_create(void **ctx, int level, u32 max_len);
void cw_lzo_destroy(void *ctx);
int cw_lzo_compress(void *ctx, void *dst, u32 dst_cap, const void *src,
		    u32 src_len);
int cw_lzo_decompress(void *ctx, void *dst, u32 dst_len, const void *src,
		      u32 src_len);

#endif
