/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An opened log, as checkers see it: its map, entry by entry, and what the log
 * counts. Nobody writes to the log meanwhile.
 */
#ifndef CLOOPW_LOG_VIEW_H
#define CLOOPW_LOG_VIEW_H

#include "../cow.h"
#include "log_record.h"

struct cw_log_view {
	u64 pages;            /* on the device */
	u64 plain_pages;      /* pages of the device in this layer */
	u64 live;             /* shares, over the segments with data */
	u64 appended_sectors; /* appended since the last checkpoint */
	u32 map_pages;
	u32 segments;
	u32 segments_used;
};

struct cw_log_segment_view {
	u64 gen;
	u32 live; /* shares in use */
	bool has_data;
	bool bad; /* a record in it is damaged */
};

/* cow is an opened COW file of format cw_cow_log. */
void cw_log_view_totals(struct cw_cow *cow, struct cw_log_view *view);
/* Looks at segment n. False: it is out of the file. */
bool cw_log_view_segment(struct cw_cow *cow, u32 n,
			 struct cw_log_segment_view *view);
/*
 * Copies the entries of map page n. 1: done; 0: nothing in its range was ever
 * written; -ENOMEM, or -EIO when the page is damaged.
 */
int cw_log_view_map(struct cw_cow *cow, u32 n, u64 *entry);

#endif
