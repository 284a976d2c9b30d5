/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Watches the state of the top COW layer. When the state changes, the device
 * sends user space the event KOBJ_CHANGE with
 *
 *   CLOOPW_STATE=ok|full|read-only|failed
 *   CLOOPW_LOW_SPACE=0|1       the available space is at the mark, or below
 *   CLOOPW_AVAILABLE=BYTES     empty when that is unknown
 *
 * The watch looks every two seconds, because others also take space and give it
 * back. So events come at most that often.
 */
#ifndef CLOOPW_WATCH_H
#define CLOOPW_WATCH_H

#include <linux/types.h>

#include "core/device.h"

struct gendisk;

struct cloopw_watch;

/* For the module. 0 or -ENOMEM. */
int cloopw_watch_init(void);
void cloopw_watch_exit(void);

/* NULL: no memory. */
struct cloopw_watch *cloopw_watch_create(struct gendisk *gd,
					 struct cw_device *engine);
/* Does nothing when the layer is read-only. */
void cloopw_watch_start(struct cloopw_watch *watch);
/* Waits until it does not run any more. NULL is fine. */
void cloopw_watch_destroy(struct cloopw_watch *watch);

/* Any thread. */
struct cw_low_mark cloopw_watch_get_mark(struct cloopw_watch *watch);
void cloopw_watch_set_mark(struct cloopw_watch *watch,
			   struct cw_low_mark mark);
/* Available bytes when the watch last looked, or CW_CAPACITY_UNKNOWN. */
u64 cloopw_watch_available(struct cloopw_watch *watch);

#endif
