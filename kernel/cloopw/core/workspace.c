// SPDX-License-Identifier: GPL-2.0
#include "workspace.h"

static void workspace_free(struct cw_workspace_pool *pool,
			   struct cw_workspace *ws)
{
	unsigned int id;

	for (id = 0; id < CW_CODEC_IDS; id++)
		if (ws->ctx[id])
			pool->codec[id]->destroy(ws->ctx[id]);
	cw_free(ws->plain);
	cw_free(ws->stored);
	cw_free(ws);
}

static int workspace_create_contexts(struct cw_workspace_pool *pool,
				     struct cw_workspace *ws)
{
	const struct cw_workspace_config *config = &pool->config;
	unsigned int id;
	int level, err;

	for (id = 0; id < CW_CODEC_IDS; id++) {
		const struct cw_codec *codec = pool->codec[id];

		if (!codec)
			continue;
		level = codec == config->compressor ? config->level : -1;
		err = codec->create(&ws->ctx[id], level, config->max_len);
		if (err)
			return err;
	}
	return 0;
}

static int workspace_add(struct cw_workspace_pool *pool)
{
	const struct cw_workspace_config *config = &pool->config;
	struct cw_workspace *ws = cw_alloc(sizeof(*ws));
	int err = -ENOMEM;

	if (!ws)
		return -ENOMEM;
	ws->stored = cw_alloc_raw(config->stored_len);
	if (!ws->stored)
		goto free_ws;
	if (config->plain_len) {
		ws->plain = cw_alloc_raw(config->plain_len);
		if (!ws->plain)
			goto free_ws;
	}
	err = workspace_create_contexts(pool, ws);
	if (err)
		goto free_ws;
	ws->next = pool->free;
	pool->free = ws;
	return 0;

free_ws:
	workspace_free(pool, ws);
	return err;
}

/* NULL: this world cannot read what the codec wrote. */
static const struct cw_codec *codec_here(unsigned int id)
{
	const struct cw_codec *codec = cw_codec_by_id(id);

	return codec && cw_codec_is_here(codec) ? codec : NULL;
}

int cw_workspace_pool_init(struct cw_workspace_pool *pool,
			   const struct cw_workspace_config *config)
{
	unsigned int id, i;
	int err;

	memset(pool, 0, sizeof(*pool));
	pool->config = *config;
	cw_mutex_init(&pool->lock);
	cw_cond_init(&pool->freed);
	for (id = 0; id < CW_CODEC_IDS; id++)
		if (config->codecs & CW_CODEC_BIT(id))
			pool->codec[id] = codec_here(id);
	if (config->compressor)
		pool->codec[config->compressor->id] = config->compressor;
	pool->ready = true;
	for (i = 0; i < cw_cpus(); i++) {
		err = workspace_add(pool);
		if (err) {
			cw_workspace_pool_destroy(pool);
			return err;
		}
	}
	return 0;
}

void cw_workspace_pool_destroy(struct cw_workspace_pool *pool)
{
	struct cw_workspace *ws;

	if (!pool->ready)
		return;
	while (pool->free) {
		ws = pool->free;
		pool->free = ws->next;
		workspace_free(pool, ws);
	}
	cw_cond_destroy(&pool->freed);
	cw_mutex_destroy(&pool->lock);
	pool->ready = false;
}

struct cw_workspace *cw_workspace_get(struct cw_workspace_pool *pool)
{
	struct cw_workspace *ws;

	cw_mutex_lock(&pool->lock);
	while (!pool->free)
		cw_cond_wait(&pool->freed, &pool->lock);
	ws = pool->free;
	pool->free = ws->next;
	cw_mutex_unlock(&pool->lock);
	return ws;
}

void cw_workspace_put(struct cw_workspace_pool *pool, struct cw_workspace *ws)
{
	cw_mutex_lock(&pool->lock);
	ws->next = pool->free;
	pool->free = ws;
	cw_mutex_unlock(&pool->lock);
	cw_cond_signal(&pool->freed);
}

int cw_workspace_decompress(struct cw_workspace_pool *pool,
			    struct cw_workspace *ws, unsigned int codec,
			    void *dst, u32 dst_len, const void *src,
			    u32 src_len)
{
	if (codec >= CW_CODEC_IDS || !pool->codec[codec])
		return -EIO;
	return pool->codec[codec]->decompress(ws->ctx[codec], dst, dst_len, src,
					      src_len);
}
