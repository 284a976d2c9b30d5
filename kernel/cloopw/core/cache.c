// SPDX-License-Identifier: GPL-2.0
#include "cache.h"

/* One bucket for so many bytes of the limit, within bounds. */
#define CACHE_BUCKET_BYTES (32u << 10)
#define CACHE_MIN_BITS 8
#define CACHE_MAX_BITS 16
#define BUDGET_MAX (~0ull >> 1)
/* evicted from one cache before the next choice */
#define BUDGET_STEP BIT(20)

/*
 * An entry may leave the hash with users: its fill failed, or it was dropped.
 * Its last user frees it.
 */
enum entry_state {
	ENTRY_FILLING, /* its first user fills it; others wait */
	ENTRY_READY,
	ENTRY_FAILED, /* ->error tells why */
};

struct cw_cache {
	/* Guards all below and the fields of entries that say so. */
	struct cw_mutex lock;
	struct cw_cond filled;
	struct cw_cache_entry **bucket; /* [1 << bucket_bits] */
	unsigned int bucket_bits;       /* constant */
	struct cw_cache_entry lru; /* list head; next is the oldest */
	u64 next_owner;
	u64 limit;
	u64 bytes;     /* bytes of all entries in the hash */
	u64 evictable; /* bytes of entries in the LRU list */
	u64 hits;
	u64 misses;
	struct cw_cache_budget *budget; /* constant; NULL: none */
	struct cw_cache *next, *prev;   /* budget lock */
};

struct cw_cache *cw_cache_create(u64 limit_bytes)
{
	struct cw_cache *cache = cw_alloc(sizeof(*cache));
	unsigned int bits = CACHE_MIN_BITS;

	if (!cache)
		return NULL;
	while (bits < CACHE_MAX_BITS &&
	       limit_bytes >> bits > CACHE_BUCKET_BYTES)
		bits++;
	cache->bucket_bits = bits;
	cache->bucket = cw_alloc((1u << bits) * sizeof(*cache->bucket));
	if (!cache->bucket) {
		cw_free(cache);
		return NULL;
	}
	cw_mutex_init(&cache->lock);
	cw_cond_init(&cache->filled);
	cache->lru.lru_prev = &cache->lru;
	cache->lru.lru_next = &cache->lru;
	cache->next_owner = 1;
	cache->limit = limit_bytes;
	return cache;
}

static void entry_free(struct cw_cache_entry *entry)
{
	cw_free_cached(entry->data, entry->len);
	cw_free(entry);
}

static struct cw_cache_entry *entry_alloc(u64 owner, u64 pos, u32 len)
{
	struct cw_cache_entry *entry = cw_try_alloc(sizeof(*entry));

	if (!entry)
		return NULL;
	entry->data = cw_alloc_cached(len);
	if (!entry->data) {
		cw_free(entry);
		return NULL;
	}
	entry->key.owner = owner;
	entry->key.pos = pos;
	entry->len = len;
	entry->users = 1;
	entry->state = ENTRY_FILLING;
	return entry;
}

static struct cw_cache_entry **bucket_of(struct cw_cache *cache, u64 owner,
					 u64 pos)
{
	u64 hash = (pos ^ (owner << 48)) * 0x9e3779b97f4a7c15ull;

	return &cache->bucket[hash >> (64 - cache->bucket_bits)];
}

static struct cw_cache_entry *hash_find(struct cw_cache *cache, u64 owner,
					u64 pos)
{
	struct cw_cache_entry *entry = *bucket_of(cache, owner, pos);

	while (entry && (entry->key.pos != pos || entry->key.owner != owner))
		entry = entry->hash_next;
	return entry;
}

static void count_bytes(struct cw_cache *cache, s64 bytes)
{
	cache->bytes += bytes;
	if (cache->budget)
		cw_atomic64_add(&cache->budget->bytes, bytes);
}

static void hash_add(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	struct cw_cache_entry **bucket =
		bucket_of(cache, entry->key.owner, entry->key.pos);

	entry->hash_next = *bucket;
	*bucket = entry;
	entry->hashed = true;
	count_bytes(cache, entry->len);
}

static void hash_del(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	struct cw_cache_entry **link =
		bucket_of(cache, entry->key.owner, entry->key.pos);

	while (*link != entry)
		link = &(*link)->hash_next;
	*link = entry->hash_next;
	entry->hashed = false;
	count_bytes(cache, -(s64)entry->len);
}

/* Only entries without users are in the LRU list. */
static void lru_add(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	entry->lru_next = &cache->lru;
	entry->lru_prev = cache->lru.lru_prev;
	entry->lru_prev->lru_next = entry;
	cache->lru.lru_prev = entry;
	cache->evictable += entry->len;
}

static void lru_del(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	entry->lru_prev->lru_next = entry->lru_next;
	entry->lru_next->lru_prev = entry->lru_prev;
	cache->evictable -= entry->len;
}

static void entry_use(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	if (!entry->users++)
		lru_del(cache, entry);
}

/* Evicts from the oldest until at most limit bytes are held, if it can. */
static void evict_to(struct cw_cache *cache, u64 limit)
{
	struct cw_cache_entry *entry;

	while (cache->bytes > limit) {
		entry = cache->lru.lru_next;
		if (entry == &cache->lru)
			return;
		lru_del(cache, entry);
		hash_del(cache, entry);
		entry_free(entry);
	}
}

/* ---- a limit for several ---- */

void cw_cache_budget_init(struct cw_cache_budget *budget, u64 limit_bytes)
{
	cw_mutex_init(&budget->lock);
	budget->first = NULL;
	cw_atomic64_set(&budget->limit, cw_min(limit_bytes, BUDGET_MAX));
	cw_atomic64_set(&budget->bytes, 0);
}

void cw_cache_budget_destroy(struct cw_cache_budget *budget)
{
	cw_mutex_destroy(&budget->lock);
}

static s64 excess_of(const struct cw_cache_budget *budget)
{
	return cw_atomic64_read(&budget->bytes) -
	       cw_atomic64_read(&budget->limit);
}

static u64 could_give(struct cw_cache *cache)
{
	u64 bytes;

	cw_mutex_lock(&cache->lock);
	bytes = cache->evictable;
	cw_mutex_unlock(&cache->lock);
	return bytes;
}

/* The one that could give most, NULL: none could. The budget's lock is held. */
static struct cw_cache *find_richest(const struct cw_cache_budget *budget)
{
	struct cw_cache *cache, *richest = NULL;
	u64 most = 0;

	for (cache = budget->first; cache; cache = cache->next) {
		u64 bytes = could_give(cache);

		if (bytes > most) {
			most = bytes;
			richest = cache;
		}
	}
	return richest;
}

/* Evicts until the limit is kept, if that can be; called without locks. */
static void keep_budget(struct cw_cache_budget *budget)
{
	s64 excess;

	cw_mutex_lock(&budget->lock);
	while ((excess = excess_of(budget)) > 0) {
		struct cw_cache *cache = find_richest(budget);
		u64 part = cw_min(excess, BUDGET_STEP);

		if (!cache)
			break;
		cw_mutex_lock(&cache->lock);
		evict_to(cache, cache->bytes - cw_min(part, cache->bytes));
		cw_mutex_unlock(&cache->lock);
	}
	cw_mutex_unlock(&budget->lock);
}

void cw_cache_budget_set_limit(struct cw_cache_budget *budget, u64 limit_bytes)
{
	cw_atomic64_set(&budget->limit, cw_min(limit_bytes, BUDGET_MAX));
	keep_budget(budget);
}

void cw_cache_join(struct cw_cache *cache, struct cw_cache_budget *budget)
{
	cache->budget = budget;
	cw_mutex_lock(&budget->lock);
	cache->next = budget->first;
	if (cache->next)
		cache->next->prev = cache;
	budget->first = cache;
	cw_mutex_unlock(&budget->lock);
}

static void leave_budget(struct cw_cache *cache)
{
	struct cw_cache_budget *budget = cache->budget;

	if (!budget)
		return;
	cw_mutex_lock(&budget->lock);
	if (cache->prev)
		cache->prev->next = cache->next;
	else
		budget->first = cache->next;
	if (cache->next)
		cache->next->prev = cache->prev;
	cw_mutex_unlock(&budget->lock);
}

void cw_cache_destroy(struct cw_cache *cache)
{
	if (!cache)
		return;
	leave_budget(cache);
	evict_to(cache, 0);
	cw_cond_destroy(&cache->filled);
	cw_mutex_destroy(&cache->lock);
	cw_free(cache->bucket);
	cw_free(cache);
}

u64 cw_cache_new_owner(struct cw_cache *cache)
{
	u64 owner;

	cw_mutex_lock(&cache->lock);
	owner = cache->next_owner++;
	cw_mutex_unlock(&cache->lock);
	return owner;
}

/* Drops one use; called with the lock held. */
static void entry_put(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	if (--entry->users)
		return;
	if (!entry->hashed) {
		entry_free(entry);
		return;
	}
	lru_add(cache, entry);
	evict_to(cache, cache->limit);
}

/* Waits until another caller's fill is over. The lock is held. */
static int wait_for_fill(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	int err = 0;

	while (entry->state == ENTRY_FILLING)
		cw_cond_wait(&cache->filled, &cache->lock);
	if (entry->state == ENTRY_FAILED) {
		err = entry->error;
		entry_put(cache, entry);
	}
	return err;
}

/* Fills an entry that is in the hash; called without the lock. */
static int fill_entry(struct cw_cache *cache, struct cw_cache_entry *entry,
		      cw_cache_fill fill, void *arg)
{
	int err = fill(arg, entry->key.pos, entry->data, entry->len);

	cw_mutex_lock(&cache->lock);
	entry->state = err ? ENTRY_FAILED : ENTRY_READY;
	entry->error = err;
	if (err) {
		if (entry->hashed)
			hash_del(cache, entry);
		entry_put(cache, entry);
	}
	cw_mutex_unlock(&cache->lock);
	cw_cond_broadcast(&cache->filled);
	return err;
}

int cw_cache_get(struct cw_cache *cache, u64 owner, u64 pos, u32 len,
		 cw_cache_fill fill, void *arg, struct cw_cache_entry **out)
{
	struct cw_cache_entry *entry, *fresh = NULL;
	int err;

	cw_mutex_lock(&cache->lock);
	entry = hash_find(cache, owner, pos);
	if (!entry) {
		cw_mutex_unlock(&cache->lock);
		fresh = entry_alloc(owner, pos, len);
		if (!fresh)
			return -ENOMEM;
		cw_mutex_lock(&cache->lock);
		entry = hash_find(cache, owner, pos);
	}
	if (entry) {
		entry_use(cache, entry);
		cache->hits++;
		err = wait_for_fill(cache, entry);
		cw_mutex_unlock(&cache->lock);
		if (fresh)
			entry_free(fresh);
		*out = entry;
		return err;
	}
	cache->misses++;
	hash_add(cache, fresh);
	evict_to(cache, cache->limit);
	cw_mutex_unlock(&cache->lock);
	if (cache->budget && excess_of(cache->budget) > 0)
		keep_budget(cache->budget);
	*out = fresh;
	return fill_entry(cache, fresh, fill, arg);
}

struct cw_cache_entry *cw_cache_peek(struct cw_cache *cache, u64 owner, u64 pos)
{
	struct cw_cache_entry *entry;

	cw_mutex_lock(&cache->lock);
	entry = hash_find(cache, owner, pos);
	if (entry && entry->state == ENTRY_READY) {
		entry_use(cache, entry);
		cache->hits++;
	} else {
		entry = NULL;
	}
	cw_mutex_unlock(&cache->lock);
	return entry;
}

bool cw_cache_copy(struct cw_cache *cache, u64 owner, u64 pos, u32 skip,
		   u32 len, void *buf)
{
	struct cw_cache_entry *entry;
	bool there;

	if (!cw_mutex_trylock(&cache->lock))
		return false;
	entry = hash_find(cache, owner, pos);
	there = entry && entry->state == ENTRY_READY &&
		!cw_outside(skip, len, entry->len);
	if (there) {
		memcpy(buf, entry->data + skip, len);
		cache->hits++;
		if (!entry->users) {
			lru_del(cache, entry);
			lru_add(cache, entry);
		}
	}
	cw_mutex_unlock(&cache->lock);
	return there;
}

void cw_cache_put(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	cw_mutex_lock(&cache->lock);
	entry_put(cache, entry);
	cw_mutex_unlock(&cache->lock);
}

/* Takes an entry out of the hash; called with the lock held. */
static void entry_drop(struct cw_cache *cache, struct cw_cache_entry *entry)
{
	hash_del(cache, entry);
	if (entry->users)
		return;
	lru_del(cache, entry);
	entry_free(entry);
}

void cw_cache_drop(struct cw_cache *cache, u64 owner, u64 pos)
{
	struct cw_cache_entry *entry;

	cw_mutex_lock(&cache->lock);
	entry = hash_find(cache, owner, pos);
	if (entry)
		entry_drop(cache, entry);
	cw_mutex_unlock(&cache->lock);
}

void cw_cache_drop_owner(struct cw_cache *cache, u64 owner)
{
	struct cw_cache_entry *entry, *next;
	unsigned int i;

	cw_mutex_lock(&cache->lock);
	for (i = 0; i < 1u << cache->bucket_bits; i++) {
		for (entry = cache->bucket[i]; entry; entry = next) {
			next = entry->hash_next;
			if (entry->key.owner == owner)
				entry_drop(cache, entry);
		}
	}
	cw_mutex_unlock(&cache->lock);
}

u64 cw_cache_evictable(struct cw_cache *cache)
{
	u64 bytes = 0;

	if (cw_mutex_trylock(&cache->lock)) {
		bytes = cache->evictable;
		cw_mutex_unlock(&cache->lock);
	}
	return bytes;
}

u64 cw_cache_shrink(struct cw_cache *cache, u64 bytes)
{
	u64 before, freed;

	if (!cw_mutex_trylock(&cache->lock))
		return 0;
	before = cache->bytes;
	evict_to(cache, before > bytes ? before - bytes : 0);
	freed = before - cache->bytes;
	cw_mutex_unlock(&cache->lock);
	return freed;
}

void cw_cache_set_limit(struct cw_cache *cache, u64 limit_bytes)
{
	cw_mutex_lock(&cache->lock);
	cache->limit = limit_bytes;
	evict_to(cache, limit_bytes);
	cw_mutex_unlock(&cache->lock);
}

void cw_cache_get_stats(struct cw_cache *cache, struct cw_cache_stats *stats)
{
	cw_mutex_lock(&cache->lock);
	stats->hits = cache->hits;
	stats->misses = cache->misses;
	stats->bytes = cache->bytes;
	stats->limit = cache->limit;
	cw_mutex_unlock(&cache->lock);
}
