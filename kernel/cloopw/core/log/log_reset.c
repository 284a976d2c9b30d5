// SPDX-License-Identifier: GPL-2.0
/*
 * Reset: the log becomes as empty as a new one.
 *
 *   1. The caller keeps writers out, so no record is on its way.
 *   2. Both superblocks are written, each with a flush. They lead to no map, to no
 *      segment and to no record.
 *   3. Map and segments in memory become empty.
 *   4. Writers go on, and the file gives its space back: see cw_log_give_back().
 *
 * A crash before the first superblock of 2 leaves all of the old content, because
 * nothing that it refers to is overwritten before 3. A later crash leaves none of
 * it. The log then begins like a new one, with the next write.
 *
 * A reset needs no space and no memory but for a copy of the superblock, so a full
 * log can be reset.
 */
#include "log.h"

/* With maint held. */
static void wait_for_records(struct cw_log *log)
{
	cw_mutex_lock(&log->lock);
	while (log->first || log->preparing)
		cw_cond_wait(&log->changed, &log->lock);
	cw_mutex_unlock(&log->lock);
}

static bool is_as_new(struct cw_log *log)
{
	bool new;

	cw_mutex_lock(&log->lock);
	new = !log->begun && !log->plain_pages && !log->may_return &&
	      !cw_from_le64(log->super->segments);
	cw_mutex_unlock(&log->lock);
	return new;
}

/*
 * When a superblock cannot be written, either may count. Records of the old content
 * must not come behind an empty one. So the old superblock is written again, and
 * the log ends when that fails, too.
 */
static int store_empty(struct cw_log *log, struct cw_disk_log_super *before,
		       u64 gen_limit)
{
	int err;

	memcpy(before, log->super, sizeof(*before));
	cw_log_super_empty(log->super, gen_limit, log->next_seq);
	err = cw_log_rewrite_super(log);
	if (!err)
		return 0;
	memcpy(log->super, before, sizeof(*before));
	if (cw_log_rewrite_super(log))
		cw_log_fail(log, err);
	return err;
}

/* With lock held. A reader that looked a page up before has its segment pinned. */
static void forget_map(struct cw_log *log)
{
	cw_log_map_clear(log);
	memset(log->map_root_at, 0, sizeof(log->map_root_at));
	memset(log->map_root_changed, 0, sizeof(log->map_root_changed));
	memset(log->usage_at, 0, LOG_USAGE_PAGES * sizeof(u64));
	memset(log->usage_changed, 0, LOG_USAGE_PAGES * sizeof(bool));
	memset(log->usage_dir_at, 0, sizeof(log->usage_dir_at));
	memset(log->usage_dir_changed, 0, sizeof(log->usage_dir_changed));
	log->plain_pages = 0;
	log->live = 0;
	log->meta_live = 0;
}

static void forget(struct cw_log *log, u64 gen_limit)
{
	cw_mutex_lock(&log->lock);
	forget_map(log);
	cw_log_free_all_segments(log);
	log->gen_limit = gen_limit;
	log->meta_segment = CW_LOG_NO_SEGMENT;
	log->segment = CW_LOG_NO_SEGMENT;
	log->appended_sectors = 0;
	log->begun = false;
	log->may_return = false;
	log->broken = 0;
	log->full = false;
	log->stuck = 0;
	cw_cond_broadcast(&log->changed);
	cw_mutex_unlock(&log->lock);
}

int cw_log_reset(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;
	struct cw_disk_log_super *before = cw_alloc(sizeof(*before));
	u64 gen_limit;
	int err = 0;

	if (!before)
		return -ENOMEM;
	cw_mutex_lock(&log->maint);
	wait_for_records(log);
	if (!is_as_new(log)) {
		gen_limit = log->next_gen + LOG_GEN_STEP;
		err = store_empty(log, before, gen_limit);
		if (!err)
			forget(log, gen_limit);
	}
	cw_mutex_unlock(&log->maint);
	cw_free(before);
	return err;
}
