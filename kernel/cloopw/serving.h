/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How requests are served, and how all is done that they may wait for, as who
 * does it holds locks of the engine. It must not wait for requests in turn:
 *
 * - to get memory, by writing to the device that is served: PF_MEMALLOC_NOIO;
 * - until there are fewer dirty pages, of the device again, when it makes some
 *   of a file below: PF_LOCAL_THROTTLE looks at those of that file only.
 */
#ifndef CLOOPW_SERVING_H
#define CLOOPW_SERVING_H

#include <linux/sched.h>

#define CLOOPW_SERVING (PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

/* Returns what cloopw_serving_end() needs. */
static inline unsigned int cloopw_serving_begin(void)
{
	unsigned int before = current->flags;

	current->flags |= CLOOPW_SERVING;
	return before;
}

static inline void cloopw_serving_end(unsigned int before)
{
	current_restore_flags(before, CLOOPW_SERVING);
}

#endif
