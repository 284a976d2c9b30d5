// SPDX-License-Identifier: GPL-2.0
#include "recorder.h"

#define EMPTY 0u
/* Fibonacci hashing: 2^64 divided by the golden ratio. */
#define SPREAD 0x9e3779b97f4a7c15ull

struct cw_recorder {
	u64 began; /* ms; constant, as the next three are */
	u32 most;
	u32 slots; /* the length of table, a power of two, more than most */
	u32 shift; /* 64 less the bits of a slot's number */
	struct cw_mutex lock;
	u32 nr;    /* lock */
	struct cw_first_read *reads; /* lock; nr of them */
	/* lock; the number of a read plus 1, at or behind its block's hash */
	u32 *table;
};

struct cw_recorder *cw_recorder_create(u64 blocks)
{
	struct cw_recorder *rec = cw_alloc(sizeof(*rec));

	if (!rec)
		return NULL;
	cw_mutex_init(&rec->lock);
	rec->began = cw_now_ms();
	rec->most = cw_min(blocks, CW_RECORDER_MOST);
	rec->shift = 64;
	for (rec->slots = 1; rec->slots < 2 * rec->most || rec->slots < 2;
	     rec->slots *= 2)
		rec->shift--;
	rec->reads = cw_alloc(cw_max(rec->most, 1) * sizeof(*rec->reads));
	rec->table = cw_alloc(rec->slots * sizeof(*rec->table));
	if (rec->reads && rec->table)
		return rec;
	cw_recorder_destroy(rec);
	return NULL;
}

void cw_recorder_destroy(struct cw_recorder *rec)
{
	if (!rec)
		return;
	cw_mutex_destroy(&rec->lock);
	cw_free(rec->table);
	cw_free(rec->reads);
	cw_free(rec);
}

/*
 * Returns the slot of the block, or the empty one that it would take. At least
 * half of the table is empty. lock is held.
 */
static u32 find_slot(const struct cw_recorder *rec, u64 block)
{
	u32 slot = (block * SPREAD) >> rec->shift;

	while (rec->table[slot] != EMPTY &&
	       rec->reads[rec->table[slot] - 1].block != block)
		slot = (slot + 1) & (rec->slots - 1);
	return slot;
}

void cw_recorder_note(struct cw_recorder *rec, u64 block)
{
	u64 now = cw_now_ms();
	u32 slot;

	cw_mutex_lock(&rec->lock);
	if (rec->nr < rec->most) {
		slot = find_slot(rec, block);
		if (rec->table[slot] == EMPTY) {
			rec->reads[rec->nr].block = block;
			rec->reads[rec->nr].ms = now - rec->began;
			rec->table[slot] = ++rec->nr;
		}
	}
	cw_mutex_unlock(&rec->lock);
}

u32 cw_recorder_get(struct cw_recorder *rec, u64 from, u32 most,
		    struct cw_first_read *reads)
{
	u32 n = 0;

	cw_mutex_lock(&rec->lock);
	if (from < rec->nr)
		n = cw_min(most, rec->nr - from);
	if (n)
		memcpy(reads, rec->reads + from, n * sizeof(*reads));
	cw_mutex_unlock(&rec->lock);
	return n;
}
