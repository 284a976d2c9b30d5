/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches how the top COW layer does, and tells user space by events when that
 * changes: the device's KOBJ_CHANGE with
 *
 *   CLOOPW_STATE=ok|full|read-only|failed
 *   CLOOPW_LOW_SPACE=0|1       what is available is at the mark, or below
 *   CLOOPW_AVAILABLE=BYTES     empty when that cannot be told
 *
 * It looks every two seconds, since space is also taken and given back by
 * others. So that is also the highest rate of events.
 */
#ifndef CLOOPW_WATCH_H
#define CLOOPW_WATCH_H

#include <linux/types.h>

#include "core/device.h"

struct gendisk;

/* The low-space mark; all zero: none. */
struct cloopw_mark {
	u32 percent; /* of what the layer can have */
	u64 bytes;
};

struct cloopw_watch;

/* Of the module. */
int cloopw_watch_init(void);
void cloopw_watch_exit(void);

/* NULL: no memory. */
struct cloopw_watch *cloopw_watch_create(struct gendisk *gd,
					 struct cw_device *engine);
/* Does nothing where nothing is written. */
void cloopw_watch_start(struct cloopw_watch *watch);
/* Waits until nothing of it runs. NULL is fine. */
void cloopw_watch_destroy(struct cloopw_watch *watch);

struct cloopw_mark cloopw_watch_get_mark(struct cloopw_watch *watch);
void cloopw_watch_set_mark(struct cloopw_watch *watch,
			   struct cloopw_mark mark);
/* When it last looked, or CW_CAPACITY_UNKNOWN. */
u64 cloopw_watch_available(struct cloopw_watch *watch);

#endif
