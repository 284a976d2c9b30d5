// SPDX-License-Identifier: GPL-2.0
/* The native COW log as a COW format: opening, freezing, closing. */
#include "log.h"

static bool log_probe(const u8 *head, u32 len)
{
	return len >= 8 && !memcmp(head, CW_LOG_MAGIC, 8);
}

/*
 * Is only the second superblock left? A crash tears a superblock, but does not
 * remove its magic number. So the first may have been the newer one, and the
 * second may lead to old data. Only a look at all of the log can tell.
 */
static bool log_remains(struct cw_io *io, void *buf)
{
	return !cw_pread(io, buf, CW_LOG_SUPER_LEN, CW_LOG_SUPER_STRIDE) &&
	       cw_log_super_is_sound(buf);
}

/* ---- opening ---- */

/* Frees some megabytes that a read-only layer does not need. */
static void free_writing(struct cw_log *log)
{
	cw_workspace_pool_destroy(&log->workspaces);
	if (log->snapshot)
		cw_free(log->snapshot->usage);
	cw_free(log->snapshot);
	log->snapshot = NULL;
	cw_free(log->clean_buf);
	log->clean_buf = NULL;
	cw_free(log->zeros);
	log->zeros = NULL;
}

static void destroy(struct cw_log *log)
{
	cw_log_map_destroy(log);
	free_writing(log);
	cw_workspace_pool_destroy(&log->meta_workspaces);
	cw_free(log->super);
	cw_free(log->segments);
	cw_free(log->usage_touched);
	cw_free(log->usage_changed);
	cw_free(log->usage_at);
	cw_free(log->map_dir_changed);
	cw_free(log->map_dir_at);
	cw_free(log->map_at);
	cw_cond_destroy(&log->flushed);
	cw_cond_destroy(&log->changed);
	cw_mutex_destroy(&log->lock);
	cw_mutex_destroy(&log->maint);
	cw_free(log);
}

static int allocate_tables(struct cw_log *log)
{
	log->usage_at = cw_alloc(LOG_USAGE_PAGES * sizeof(u64));
	log->usage_changed = cw_alloc(LOG_USAGE_PAGES * sizeof(bool));
	log->usage_touched = cw_alloc(LOG_USAGE_PAGES * sizeof(bool));
	log->super = cw_alloc(sizeof(*log->super));
	log->snapshot = cw_alloc(sizeof(*log->snapshot));
	log->clean_buf = cw_alloc(CW_LOG_SEGMENT_LEN);
	log->zeros = cw_alloc(LOG_ZEROS_SECTORS * CW_SECTOR_SIZE);
	if (!log->usage_at || !log->usage_changed || !log->usage_touched ||
	    !log->super || !log->snapshot || !log->clean_buf || !log->zeros)
		return -ENOMEM;
	return 0;
}

/* An impossible block counts as a sector, which all media have. */
static u32 block_sectors(const struct cw_io *io)
{
	u32 sectors = io->physical_block / CW_SECTOR_SIZE;

	return cw_is_power_of_2(sectors) ? cw_min(sectors, LOG_BLOCK_MAX) : 1;
}

static struct cw_log *create(struct cw_cow *cow)
{
	struct cw_log *log = cw_alloc(sizeof(*log));

	if (!log)
		return NULL;
	cw_mutex_init(&log->maint);
	cw_mutex_init(&log->lock);
	cw_cond_init(&log->changed);
	cw_cond_init(&log->flushed);
	log->cow = cow;
	log->io = cow->io;
	log->block = block_sectors(cow->io);
	log->owner = cw_cache_new_owner(cow->cache);
	log->segment = CW_LOG_NO_SEGMENT;
	log->meta_segment = CW_LOG_NO_SEGMENT;
	log->lru.lru_prev = &log->lru;
	log->lru.lru_next = &log->lru;
	return log;
}

/*
 * Contexts for all codecs that may be in the log, because recovery comes before
 * the choice of the codec.
 */
static int create_workspaces(struct cw_log *log, struct cw_workspace_pool *pool,
			     const struct cw_codec *codec, int level)
{
	struct cw_workspace_config config = {
		.codecs = CW_LOG_CODECS,
		.stored_len = LOG_RECORD_ROOM,
		.plain_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
		.max_len = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
		.compressor = codec,
		.level = level,
	};

	return cw_workspace_pool_init(pool, &config);
}

static int refuse_codec(struct cw_log *log, u32 id, struct cw_report *report)
{
	const struct cw_codec *known = cw_codec_by_id(id);

	if (known && !(CW_CODEC_BIT(id) & CW_LOG_CODECS))
		return cw_refuse(report, -EINVAL, CLOOPW_R_NO_CODEC,
				 "%s: asks for codec %s, which no COW log has",
				 log->io->name, known->name);
	return cw_refuse(report, -EINVAL, CLOOPW_R_NO_CODEC,
			 "%s: asks for codec %u, which this driver does not have",
			 log->io->name, id);
}

/* The superblock names the codec, so that all writers use the same. */
static int choose_codec(struct cw_log *log, struct cw_report *report)
{
	u32 id = cw_from_le32(log->super->codec);
	s32 level = cw_from_le32(log->super->codec_level);
	const struct cw_codec *codec = cw_codec_by_id(id);
	int err;

	if (log->super->codec_hc)
		codec = &cw_codec_lz4hc;
	if (!codec || codec->id != id || !(CW_CODEC_BIT(id) & CW_LOG_CODECS))
		return refuse_codec(log, id, report);
	if (level < codec->min_level || level > codec->max_level)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: asks for level %d of %s, which has %d..%d",
				 log->io->name, level, codec->name,
				 codec->min_level, codec->max_level);
	log->codec = codec;
	if (!log->cow->writable)
		return 0;
	/* Replaces recovery's pool, which could only decompress. */
	cw_workspace_pool_destroy(&log->meta_workspaces);
	err = create_workspaces(log, &log->meta_workspaces, codec, level);
	if (err)
		return err;
	return create_workspaces(log, &log->workspaces, codec, level);
}

/* A full file can be attached all the same: reading works. */
static int begin_writing(struct cw_log *log, struct cw_report *report)
{
	int err = cw_log_make_room(log, LOG_FOR_BEGIN);

	if (err == -ENOSPC)
		return 0;
	if (err)
		cw_refuse(report, err, CLOOPW_R_UNWRITABLE,
			  "%s: cannot be written (%s)", log->io->name,
			  cw_error_text(err));
	return err;
}

static int log_open(struct cw_cow *cow, const struct cw_cow_base *base,
		    struct cw_report *report)
{
	struct cw_log *log;
	int err;

	if (cow->size > CW_LOG_MAX_SIZE)
		return cw_refuse(report, -EFBIG, CLOOPW_R_TOO_LARGE,
				 "%s: a COW log covers up to 32 TiB, and %s has %llu bytes",
				 cow->io->name, base->name, cow->size);
	log = create(cow);
	if (!log)
		return -ENOMEM;
	err = allocate_tables(log);
	if (!err)
		err = create_workspaces(log, &log->meta_workspaces, NULL, 0);
	if (!err)
		err = cw_log_recover(log, base, report);
	if (!err)
		err = choose_codec(log, report);
	if (!err && cow->writable)
		err = begin_writing(log, report);
	if (err)
		goto fail;
	if (!cow->writable)
		free_writing(log);
	cow->priv = log;
	cow->granularity = CW_PAGE_SIZE;
	cow->plain = log->codec->id == CW_CODEC_NONE;
	return 0;

fail:
	destroy(log);
	return err;
}

static void log_close(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;

	/* Flushed data does not need it; it makes the next attach quick. */
	if (cow->writable && !log->failed)
		cw_log_reclaim(log, LOG_RECLAIM_LAST);
	cw_cache_drop_owner(cow->cache, log->owner);
	destroy(log);
	cow->priv = NULL;
}

/* ---- freezing ---- */

static void log_settle(struct cw_cow *cow)
{
	/* The freeze or the flush reports an error that matters. */
	cw_log_reclaim(cow->priv, LOG_RECLAIM_ALL);
}

static int log_freeze(struct cw_cow *cow, const u8 *uuid)
{
	struct cw_log *log = cow->priv;
	int err = cw_log_freeze(log, uuid);

	if (err)
		return err;
	cow->writable = false;
	cow->frozen = true;
	memcpy(cow->uuid, uuid, CW_UUID_LEN);
	free_writing(log);
	return 0;
}

static void log_stat(struct cw_cow *cow, struct cw_cow_stat *stat)
{
	struct cw_log *log = cow->priv;

	cw_mutex_lock(&log->lock);
	stat->live_bytes = log->live * CW_SECTOR_SIZE / CW_LOG_EXTENT_PAGES;
	stat->total_bytes = CW_LOG_START +
			    ((u64)(log->nr_used + log->nr_free)
			     << CW_LOG_SEGMENT_SHIFT);
	stat->dead_bytes = ((u64)log->nr_used << CW_LOG_SEGMENT_SHIFT) -
			   stat->live_bytes;
	stat->plain_bytes = log->plain_pages * CW_PAGE_SIZE;
	cw_mutex_unlock(&log->lock);
}

const struct cw_cow_format cw_cow_log = {
	.name = "log",
	.extent = CW_LOG_EXTENT_PAGES * CW_PAGE_SIZE,
	.longest = CW_LOG_MAX_SIZE,
	.step = CW_PAGE_SIZE,
	.probe = log_probe,
	.remains = log_remains,
	.identify = cw_log_identify,
	.open = log_open,
	.close = log_close,
	.read = cw_log_read,
	.block_status = cw_log_block_status,
	.locate = cw_log_locate,
	.write = cw_log_write,
	.zero = cw_log_zero,
	.discard = cw_log_discard,
	.flush = cw_log_flush,
	.stat = log_stat,
	.space = cw_log_space,
	.set_limit = cw_log_set_limit,
	.grow = cw_log_grow,
	.reset = cw_log_reset,
	.give_back = cw_log_give_back,
	.tend = cw_log_tend,
	.settle = log_settle,
	.freeze = log_freeze,
};
