/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The context in which requests are served. All work that requests may wait for
 * runs in it, too, because that work holds locks of the engine. Such work must
 * not wait for requests in turn:
 *
 * - to get memory, by writing to the device that is served: PF_MEMALLOC_NOIO;
 * - for fewer dirty pages, also those of the device, when it dirties pages of a
 *   file below: PF_LOCAL_THROTTLE looks at the pages of that file only.
 */
#ifndef CLOOPW_SERVING_H
#define CLOOPW_SERVING_H

#include <linux/sched.h>

#define CLOOPW_SERVING (PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE)

/* Returns the value that cloopw_serving_end() needs. */
static inline unsigned int cloopw_serving_begin(void)
{
	unsigned int before = current->flags;

	current->flags |= CLOOPW_SERVING;
	return before;
}

/* In the same thread. before: what cloopw_serving_begin() returned. */
static inline void cloopw_serving_end(unsigned int before)
{
	current_restore_flags(before, CLOOPW_SERVING);
}

#endif
