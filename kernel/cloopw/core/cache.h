/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cache of decompressed clusters and index pages, shared by the base and the
 * COW layers of a device.
 *
 * An entry is filled by the first who asks for it; others who ask meanwhile
 * wait for that one fill. What is not in use is kept in LRU order up to a
 * number of bytes, and given back to the system when that asks for memory.
 */
#ifndef CLOOPW_CACHE_H
#define CLOOPW_CACHE_H

#include "platform.h"

struct cw_cache;

/* Owners get their id from cw_cache_new_owner(); pos is theirs to define. */
struct cw_cache_key {
	u64 owner;
	u64 pos;
};

struct cw_cache_entry {
	struct cw_cache_entry *hash_next;           /* cache lock */
	struct cw_cache_entry *lru_prev, *lru_next; /* cache lock */
	struct cw_cache_key key;                    /* constant */
	u32 len;                                    /* constant */
	u32 users;                                  /* cache lock */
	bool hashed;                                /* cache lock */
	int state;                                  /* cache lock; see cache.c */
	int error;                                  /* cache lock; of a failed fill */
	u8 *data; /* written by the filler, constant once the entry is ready */
};

/* Fills buf (len bytes); returns 0 or -errno, which all who wait get. */
typedef int (*cw_cache_fill)(void *arg, u64 pos, u8 *buf, u32 len);

/*
 * A limit that caches have in common. Beyond it, whichever of them could give
 * most gives what it has used longest ago.
 */
struct cw_cache_budget {
	struct cw_mutex lock;       /* before that of a cache */
	struct cw_cache *first;     /* lock */
	struct cw_atomic64 limit;
	struct cw_atomic64 bytes;   /* that all of them hold */
};

struct cw_cache_stats {
	u64 hits;
	u64 misses;
	u64 bytes; /* held now */
	u64 limit;
};

struct cw_cache *cw_cache_create(u64 limit_bytes);
void cw_cache_destroy(struct cw_cache *cache); /* NULL is fine; no users left */

void cw_cache_budget_init(struct cw_cache_budget *budget, u64 limit_bytes);
void cw_cache_budget_destroy(struct cw_cache_budget *budget); /* none is in it */
void cw_cache_budget_set_limit(struct cw_cache_budget *budget, u64 limit_bytes);

/* Before anything is in the cache; until it is destroyed. */
void cw_cache_join(struct cw_cache *cache, struct cw_cache_budget *budget);

u64 cw_cache_new_owner(struct cw_cache *cache);

/*
 * Takes the entry, filling it when it is not there. On 0 the caller must
 * cw_cache_put() it. -ENOMEM when nothing could be allocated or evicted: the
 * caller then does without the cache.
 */
int cw_cache_get(struct cw_cache *cache, u64 owner, u64 pos, u32 len,
		 cw_cache_fill fill, void *arg, struct cw_cache_entry **entry);

/* Takes the entry only when it is there and ready; NULL otherwise. */
struct cw_cache_entry *cw_cache_peek(struct cw_cache *cache, u64 owner,
				     u64 pos);
void cw_cache_put(struct cw_cache *cache, struct cw_cache_entry *entry);

/*
 * Copies [skip, skip + len) of an entry that is there and ready. Never sleeps:
 * false also when somebody has the lock.
 */
bool cw_cache_copy(struct cw_cache *cache, u64 owner, u64 pos, u32 skip,
		   u32 len, void *buf);

/* Forgets an entry; users that hold it keep it until they put it. */
void cw_cache_drop(struct cw_cache *cache, u64 owner, u64 pos);
/* Forgets all of an owner's entries; nobody may use them any more. */
void cw_cache_drop_owner(struct cw_cache *cache, u64 owner);

/*
 * For a shrinker: bytes that could go, and let at least so many go. Never
 * blocks on the cache's lock; returns bytes freed.
 */
u64 cw_cache_evictable(struct cw_cache *cache);
u64 cw_cache_shrink(struct cw_cache *cache, u64 bytes);

void cw_cache_set_limit(struct cw_cache *cache, u64 limit_bytes);
void cw_cache_get_stats(struct cw_cache *cache, struct cw_cache_stats *stats);

#endif
