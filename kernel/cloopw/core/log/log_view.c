// SPDX-License-Identifier: GPL-2.0
/* An opened log for checkers. */
#include "log_view.h"

#include "log.h"

void cw_log_view_totals(struct cw_cow *cow, struct cw_log_view *view)
{
	struct cw_log *log = cow->priv;

	cw_mutex_lock(&log->lock);
	*view = (struct cw_log_view){
		.pages = log->pages,
		.plain_pages = log->plain_pages,
		.live = log->live,
		.appended_sectors = log->appended_sectors,
		.map_pages = log->map_pages,
		.segments = log->nr_segments,
		.segments_used = log->nr_used,
	};
	cw_mutex_unlock(&log->lock);
}

bool cw_log_view_segment(struct cw_cow *cow, u32 n,
			 struct cw_log_segment_view *view)
{
	struct cw_log *log = cow->priv;
	const struct log_segment *segment;

	cw_mutex_lock(&log->lock);
	segment = cw_log_segment_at(log, cw_log_first_sector(n));
	if (segment)
		*view = (struct cw_log_segment_view){
			.gen = segment->gen,
			.live = segment->live,
			.has_data = segment->state == SEGMENT_DATA,
			.bad = segment->bad,
		};
	cw_mutex_unlock(&log->lock);
	return segment;
}

int cw_log_view_map(struct cw_cow *cow, u32 n, u64 *entry)
{
	struct cw_log *log = cow->priv;
	struct log_page *page;
	int err = cw_log_map_get(log, n, false, &page);

	if (err || !page)
		return err;
	memcpy(entry, page->entry, sizeof(page->entry));
	cw_log_map_put(log, page);
	return 1;
}
