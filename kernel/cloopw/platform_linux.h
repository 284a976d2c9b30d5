/* SPDX-License-Identifier: GPL-2.0 */
/* core/platform.h for the kernel. Included by platform.h only. */
#ifndef CLOOPW_PLATFORM_LINUX_H
#define CLOOPW_PLATFORM_LINUX_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

#include <asm/byteorder.h>

#include "crc32c_linux.h"

static inline u16 cw_from_le16(__le16 v)
{
	return le16_to_cpu(v);
}

static inline u32 cw_from_le32(__le32 v)
{
	return le32_to_cpu(v);
}

static inline u64 cw_from_le64(__le64 v)
{
	return le64_to_cpu(v);
}

static inline __le16 cw_to_le16(u16 v)
{
	return cpu_to_le16(v);
}

static inline __le32 cw_to_le32(u32 v)
{
	return cpu_to_le32(v);
}

static inline __le64 cw_to_le64(u64 v)
{
	return cpu_to_le64(v);
}

static inline u32 cw_from_be32(__be32 v)
{
	return be32_to_cpu(v);
}

static inline u64 cw_from_be64(__be64 v)
{
	return be64_to_cpu(v);
}

static inline __be32 cw_to_be32(u32 v)
{
	return cpu_to_be32(v);
}

static inline __be64 cw_to_be64(u64 v)
{
	return cpu_to_be64(v);
}

/*
 * Workers run under PF_MEMALLOC_NOIO, which turns GFP_KERNEL into NOIO. A
 * damaged file may ask for more than kvmalloc() takes without a warning. The
 * caller tells of a failure, so the kernel need not.
 */
#define CW_GFP_ALLOC (GFP_KERNEL | __GFP_NOWARN)

static inline void *cw_alloc_raw(size_t size)
{
	return size > INT_MAX ? NULL : kvmalloc(size, CW_GFP_ALLOC);
}

static inline void *cw_alloc(size_t size)
{
	return size > INT_MAX ? NULL : kvzalloc(size, CW_GFP_ALLOC);
}

#define CW_GFP_TRY (__GFP_NORETRY | __GFP_NOWARN)

/*
 * Reclaims nothing for small sizes. kvzalloc() puts larger ones together of
 * single pages, which takes a caller that may sleep; it looks for them once.
 */
static inline void *cw_try_alloc(size_t size)
{
	if (size <= KMALLOC_MAX_CACHE_SIZE)
		return kzalloc(size, GFP_NOWAIT | CW_GFP_TRY);
	return size > INT_MAX ? NULL : kvzalloc(size, GFP_KERNEL | CW_GFP_TRY);
}

static inline void *cw_need_alloc(size_t size)
{
	return size > INT_MAX ? NULL : kvzalloc(size, GFP_KERNEL | __GFP_NOFAIL);
}

static inline void cw_free(void *p)
{
	kvfree(p);
}

/* Counts memory that a shrinker gives back. Less than a page does not count. */
static inline void cw_count_reclaimable(const void *p, size_t size, int sign)
{
	struct page *page = is_vmalloc_addr(p) ? vmalloc_to_page(p) :
						 virt_to_page(p);
	long pages = size < PAGE_SIZE ? 0 : PFN_UP(size);

	mod_node_page_state(page_pgdat(page), NR_KERNEL_MISC_RECLAIMABLE,
			    sign * pages);
}

/* Like cw_try_alloc() of a large size. */
static inline void *cw_alloc_cached(size_t size)
{
	void *p = NULL;

	if (size <= INT_MAX)
		p = kvmalloc(size, GFP_KERNEL | CW_GFP_TRY);
	if (p)
		cw_count_reclaimable(p, size, 1);
	return p;
}

static inline void cw_free_cached(void *p, size_t size)
{
	cw_count_reclaimable(p, size, -1);
	kvfree(p);
}

static inline unsigned int cw_popcount(u32 bits)
{
	return hweight32(bits);
}

static inline unsigned int cw_cpus(void)
{
	return num_online_cpus();
}

static inline u64 cw_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

#define cw_log_bad(fmt, ...) pr_err_ratelimited("cloopw: " fmt "\n", ##__VA_ARGS__)

static inline __printf(3, 0) void cw_vformat(char *buf, size_t size,
					     const char *fmt, va_list args)
{
	vsnprintf(buf, size, fmt, args);
}

struct cw_mutex {
	struct mutex m; /* its owner says what it guards */
};

/* A macro, so that lockdep sees a class for each place that makes a lock. */
#define cw_mutex_init(mutex) mutex_init(&(mutex)->m)

static inline void cw_mutex_destroy(struct cw_mutex *mutex)
{
	mutex_destroy(&mutex->m);
}

static inline void cw_mutex_lock(struct cw_mutex *mutex)
{
	mutex_lock(&mutex->m);
}

static inline bool cw_mutex_trylock(struct cw_mutex *mutex)
{
	return mutex_trylock(&mutex->m);
}

static inline void cw_mutex_unlock(struct cw_mutex *mutex)
{
	mutex_unlock(&mutex->m);
}

struct cw_rwsem {
	struct rw_semaphore s;
};

#define cw_rwsem_init(sem) init_rwsem(&(sem)->s)

static inline void cw_rwsem_destroy(struct cw_rwsem *sem)
{
}

static inline void cw_rwsem_read_lock(struct cw_rwsem *sem)
{
	down_read(&sem->s);
}

static inline bool cw_rwsem_read_trylock(struct cw_rwsem *sem)
{
	return down_read_trylock(&sem->s);
}

static inline void cw_rwsem_read_unlock(struct cw_rwsem *sem)
{
	up_read(&sem->s);
}

static inline void cw_rwsem_write_lock(struct cw_rwsem *sem)
{
	down_write(&sem->s);
}

static inline void cw_rwsem_write_unlock(struct cw_rwsem *sem)
{
	up_write(&sem->s);
}

struct cw_cond {
	wait_queue_head_t q;
};

#define cw_cond_init(cond) init_waitqueue_head(&(cond)->q)

static inline void cw_cond_destroy(struct cw_cond *cond)
{
}

/*
 * The waiter is queued before the mutex is dropped, so that no wake-up is lost.
 */
static inline void cw_cond_wait(struct cw_cond *cond, struct cw_mutex *mutex)
{
	DEFINE_WAIT(wait);

	prepare_to_wait_exclusive(&cond->q, &wait, TASK_UNINTERRUPTIBLE);
	mutex_unlock(&mutex->m);
	schedule();
	finish_wait(&cond->q, &wait);
	mutex_lock(&mutex->m);
}

static inline void cw_cond_signal(struct cw_cond *cond)
{
	wake_up(&cond->q);
}

static inline void cw_cond_broadcast(struct cw_cond *cond)
{
	wake_up_all(&cond->q);
}

/* pairs with cw_store_release() */
#define cw_load_acquire(p) smp_load_acquire(p)
/* pairs with cw_load_acquire() */
#define cw_store_release(p, v) smp_store_release(p, v)

struct cw_atomic64 {
	atomic64_t v;
};

static inline s64 cw_atomic64_read(const struct cw_atomic64 *a)
{
	return atomic64_read(&a->v);
}

static inline void cw_atomic64_set(struct cw_atomic64 *a, s64 v)
{
	atomic64_set(&a->v, v);
}

static inline void cw_atomic64_add(struct cw_atomic64 *a, s64 v)
{
	atomic64_add(v, &a->v);
}

static inline void cw_atomic64_inc(struct cw_atomic64 *a)
{
	atomic64_inc(&a->v);
}

#endif
