/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Workspaces: the memory that one block needs on its way through a codec.
 *
 * The pool allocates all of it when it is made. So reads and writes make
 * progress when memory is short: a caller waits for a workspace and never
 * allocates one. A pool has one workspace a processor, because more cannot run
 * at once.
 */
#ifndef CLOOPW_WORKSPACE_H
#define CLOOPW_WORKSPACE_H

#include "codec.h"

struct cw_workspace {
	struct cw_workspace *next; /* in the pool's free list */
	u8 *stored;                /* room for one stored block */
	u8 *plain;                 /* room for one decompressed block, or NULL */
	void *ctx[CW_CODEC_IDS];
};

struct cw_workspace_config {
	u32 codecs;      /* CW_CODEC_BIT()s of the wanted contexts */
	u32 stored_len;  /* bytes in ->stored */
	u32 plain_len;   /* bytes in ->plain, 0 for none */
	u32 max_len;     /* longest decompressed block */
	/* Not NULL: its contexts also compress, with this codec and level. */
	const struct cw_codec *compressor;
	int level;
};

struct cw_workspace_pool {
	struct cw_mutex lock;
	struct cw_cond freed;
	struct cw_workspace *free; /* lock; the most recently used first */
	struct cw_workspace_config config; /* constant */
	const struct cw_codec *codec[CW_CODEC_IDS]; /* constant */
	bool ready; /* init began: destroy has something to do */
};

/* 0, -ENOMEM or a codec's error. On error the pool is destroyed again. */
int cw_workspace_pool_init(struct cw_workspace_pool *pool,
			   const struct cw_workspace_config *config);
/*
 * All workspaces must be back. Accepts a pool of zeros, or one whose init
 * failed.
 */
void cw_workspace_pool_destroy(struct cw_workspace_pool *pool);

/* Waits for a free workspace. Never fails, and allocates nothing. */
struct cw_workspace *cw_workspace_get(struct cw_workspace_pool *pool);
/* Gives a workspace back, and wakes a waiting caller. */
void cw_workspace_put(struct cw_workspace_pool *pool, struct cw_workspace *ws);

/* The codec's decompress; -EIO for an id that the pool was not made for. */
int cw_workspace_decompress(struct cw_workspace_pool *pool,
			    struct cw_workspace *ws, unsigned int codec,
			    void *dst, u32 dst_len, const void *src,
			    u32 src_len);

#endif
