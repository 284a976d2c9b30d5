/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cache of decompressed clusters and index pages. The base and the COW layers
 * of a device share one cache.
 *
 * The first caller that asks for an entry fills it. Callers that ask meanwhile
 * wait for that one fill. Entries without users stay in LRU order. The cache
 * evicts the oldest of them beyond its limit, which is in bytes, and when a
 * shrinker asks for memory.
 *
 * All functions take the cache's lock themselves, and any thread may call them.
 * They sleep, but for the three that say so.
 */
#ifndef CLOOPW_CACHE_H
#define CLOOPW_CACHE_H

#include "platform.h"

struct cw_cache;

/*
 * An owner comes from cw_cache_new_owner(). The owner defines the meaning of
 * pos.
 */
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
	/* cache lock; the fill's, if it failed */
	int error;
	u8 *data; /* the filler writes it; constant once the entry is ready */
};

/*
 * Fills buf (len bytes). Returns 0 or -errno, and all waiting callers get that.
 */
typedef int (*cw_cache_fill)(void *arg, u64 pos, u8 *buf, u32 len);

/*
 * A limit that several caches share. Beyond it, the cache that can give most
 * evicts its oldest entries.
 */
struct cw_cache_budget {
	struct cw_mutex lock;       /* taken before a cache's lock */
	struct cw_cache *first;     /* lock */
	struct cw_atomic64 limit;
	struct cw_atomic64 bytes;   /* held by all these caches */
};

struct cw_cache_stats {
	u64 hits;
	u64 misses;
	u64 bytes; /* held now */
	u64 limit;
};

/*
 * The caller owns the cache. NULL: no memory. With limit_bytes 0 it keeps no unused entry.
 */
struct cw_cache *cw_cache_create(u64 limit_bytes);
void cw_cache_destroy(struct cw_cache *cache); /* NULL is fine; no users left */

/* limit_bytes: bytes that all caches of the budget may hold. */
void cw_cache_budget_init(struct cw_cache_budget *budget, u64 limit_bytes);
/* after its last cache */
void cw_cache_budget_destroy(struct cw_cache_budget *budget);
/* Evicts at once, as far as entries are not in use. */
void cw_cache_budget_set_limit(struct cw_cache_budget *budget, u64 limit_bytes);

/*
 * Adds the cache to the budget until cw_cache_destroy(). Call it before the
 * first cw_cache_get().
 */
void cw_cache_join(struct cw_cache *cache, struct cw_cache_budget *budget);

/* A number that no other owner in this cache has. */
u64 cw_cache_new_owner(struct cw_cache *cache);

/*
 * Takes the entry, and fills it when it is not there. On 0 the caller must
 * cw_cache_put() it. -ENOMEM: there is no memory for an entry, and the caller
 * does without the cache. Other errors are those of the fill.
 */
int cw_cache_get(struct cw_cache *cache, u64 owner, u64 pos, u32 len,
		 cw_cache_fill fill, void *arg, struct cw_cache_entry **entry);

/* Takes the entry only when it is there and ready; NULL otherwise. */
struct cw_cache_entry *cw_cache_peek(struct cw_cache *cache, u64 owner,
				     u64 pos);
/* Ends the use of an entry, which the caller must not touch afterwards. */
void cw_cache_put(struct cw_cache *cache, struct cw_cache_entry *entry);

/*
 * Copies [skip, skip + len) of an entry that is there and ready. Never sleeps:
 * returns false also when another thread holds the lock.
 */
bool cw_cache_copy(struct cw_cache *cache, u64 owner, u64 pos, u32 skip,
		   u32 len, void *buf);

/* Drops an entry. Users that hold the entry keep it until they put it. */
void cw_cache_drop(struct cw_cache *cache, u64 owner, u64 pos);
/* Drops all entries of an owner, which nobody may use from then on. */
void cw_cache_drop_owner(struct cw_cache *cache, u64 owner);

/*
 * For a shrinker: the bytes that could go, and a call that frees at least so
 * many if it can. Neither waits for the cache's lock: they return 0 when
 * another thread holds it. cw_cache_shrink() returns the bytes that it freed.
 */
u64 cw_cache_evictable(struct cw_cache *cache);
u64 cw_cache_shrink(struct cw_cache *cache, u64 bytes);

/* Evicts at once what is above the new limit and not in use. */
void cw_cache_set_limit(struct cw_cache *cache, u64 limit_bytes);
void cw_cache_get_stats(struct cw_cache *cache, struct cw_cache_stats *stats);

#endif
