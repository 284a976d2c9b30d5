/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The blocks of an image in the order of their first read, with the time since
 * the recorder was made. mkcloopw --order takes them. A recorder keeps the first
 * CW_RECORDER_MOST: a boot reads fewer, and memory is bounded.
 */
#ifndef CLOOPW_RECORDER_H
#define CLOOPW_RECORDER_H

#include "platform.h"

#define CW_RECORDER_MOST BIT(16)

struct cw_recorder;

struct cw_first_read {
	u64 block;
	u64 ms;
};

/* blocks: how many there are. NULL: there is no memory. */
struct cw_recorder *cw_recorder_create(u64 blocks);
void cw_recorder_destroy(struct cw_recorder *rec); /* NULL is fine */

/* The block is read. Any thread. */
void cw_recorder_note(struct cw_recorder *rec, u64 block);

/*
 * Copies the reads from number from on, most at most. Returns how many; 0: there
 * are no more. Any thread.
 */
u32 cw_recorder_get(struct cw_recorder *rec, u64 from, u32 most,
		    struct cw_first_read *reads);

#endif
