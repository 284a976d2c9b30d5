// SPDX-License-Identifier: GPL-2.0
/*
 * Making data durable: the only caller of fdatasync.
 *
 * A kernel reports a writeback error once for each open file, to the first
 * caller. Two callers at the same time could get an error and a success for the
 * same lost data. So one thread calls for all. Flushes and checkpoints take
 * part in the next fdatasync, and its error is kept before another one can
 * begin.
 */
#include "log.h"

/* Ends writing, because the durable state is not known. With lock held. */
static void fail(struct cw_log *log, int err)
{
	if (log->failed)
		return;
	log->failed = err;
	cw_log_bad("%s: cannot be written any more (%s); what was flushed is safe, reading goes on",
		   log->io->name, cw_error_text(err));
}

/* One fdatasync for all callers until now. With lock held, which it drops. */
static void sync_once(struct cw_log *log)
{
	u64 mine = ++log->flushes_begun;
	int err;

	log->flushing = true;
	cw_log_finish_block(log);
	cw_mutex_unlock(&log->lock);
	err = cw_flush(log->io);
	cw_mutex_lock(&log->lock);
	if (err)
		fail(log, err);
	log->flushing = false;
	log->flushes_done = mine;
	cw_cond_broadcast(&log->flushed);
}

/* With lock held, which it drops. */
static int sync_for_all(struct cw_log *log)
{
	u64 wanted = log->flushes_begun + 1;

	while (!log->failed && log->flushes_done < wanted) {
		if (log->flushing)
			cw_cond_wait(&log->flushed, &log->lock);
		else
			sync_once(log);
	}
	return log->failed;
}

void cw_log_fail(struct cw_log *log, int err)
{
	cw_mutex_lock(&log->lock);
	fail(log, err);
	cw_mutex_unlock(&log->lock);
}

int cw_log_sync(struct cw_log *log)
{
	int err;

	cw_mutex_lock(&log->lock);
	err = sync_for_all(log);
	cw_mutex_unlock(&log->lock);
	return err;
}

/*
 * All acknowledged records are in the file with nothing missing before them, so
 * one fdatasync is enough. When it fails, acknowledged data may be lost. The
 * log ends there, because the state of the disk is not known any more.
 */
int cw_log_flush(struct cw_cow *cow)
{
	struct cw_log *log = cow->priv;
	int err;

	if (!cow->writable)
		return 0;
	cw_mutex_lock(&log->lock);
	log->synced = true;
	err = sync_for_all(log);
	cw_mutex_unlock(&log->lock);
	return err;
}
