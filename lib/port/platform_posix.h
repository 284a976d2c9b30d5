/* SPDX-License-Identifier: GPL-2.0 */
/*
 * core/platform.h for userspace: pthreads and the C library. Only platform.h includes it. C
 * and C++.
 */
#ifndef CLOOPW_PLATFORM_POSIX_H
#define CLOOPW_PLATFORM_POSIX_H

#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(n) (1ul << (n))
#define BIT_ULL(n) (1ull << (n))
#define __packed __attribute__((packed))
#define __aligned(bytes) __attribute__((aligned(bytes)))
#define __printf(text, args) __attribute__((format(printf, text, args)))

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
typedef unsigned long long u64; /* the kernel's type: %llu everywhere */
typedef long long s64;

static inline u16 cw_from_le16(__le16 v)
{
	return le16toh(v);
}

static inline u32 cw_from_le32(__le32 v)
{
	return le32toh(v);
}

static inline u64 cw_from_le64(__le64 v)
{
	return le64toh(v);
}

static inline __le16 cw_to_le16(u16 v)
{
	return htole16(v);
}

static inline __le32 cw_to_le32(u32 v)
{
	return htole32(v);
}

static inline __le64 cw_to_le64(u64 v)
{
	return htole64(v);
}

static inline u32 cw_from_be32(__be32 v)
{
	return be32toh(v);
}

static inline u64 cw_from_be64(__be64 v)
{
	return be64toh(v);
}

static inline __be32 cw_to_be32(u32 v)
{
	return htobe32(v);
}

static inline __be64 cw_to_be64(u64 v)
{
	return htobe64(v);
}

#ifdef __cplusplus
extern "C" {
#endif

void *cw_alloc(size_t size);
void *cw_alloc_raw(size_t size);
void *cw_try_alloc(size_t size);
void *cw_need_alloc(size_t size);
void cw_free(void *p);
void *cw_alloc_cached(size_t size);
void cw_free_cached(void *p, size_t size);
u32 cw_crc32c(const void *buf, size_t len);
unsigned int cw_cpus(void);
u64 cw_now_ms(void);
__printf(1, 2) void cw_log_bad(const char *fmt, ...);
/*
 * Suppresses cw_log_bad(), for a program that reports damage itself. Call it before there
 * are threads.
 */
void cw_log_bad_quiet(bool on);

#ifdef __cplusplus
}
#endif

static inline unsigned int cw_popcount(u32 bits)
{
	return __builtin_popcount(bits);
}

static inline __printf(3, 0) void cw_vformat(char *buf, size_t size,
					     const char *fmt, va_list args)
{
	vsnprintf(buf, size, fmt, args);
}

struct cw_mutex {
	pthread_mutex_t m;
};

static inline void cw_mutex_init(struct cw_mutex *mutex)
{
	pthread_mutex_init(&mutex->m, NULL);
}

static inline void cw_mutex_destroy(struct cw_mutex *mutex)
{
	pthread_mutex_destroy(&mutex->m);
}

static inline void cw_mutex_lock(struct cw_mutex *mutex)
{
	pthread_mutex_lock(&mutex->m);
}

static inline bool cw_mutex_trylock(struct cw_mutex *mutex)
{
	return pthread_mutex_trylock(&mutex->m) == 0;
}

static inline void cw_mutex_unlock(struct cw_mutex *mutex)
{
	pthread_mutex_unlock(&mutex->m);
}

struct cw_rwsem {
	pthread_rwlock_t l;
};

static inline void cw_rwsem_init(struct cw_rwsem *sem)
{
	pthread_rwlockattr_t attr;

	/* The kernel's order: later readers do not keep a writer out. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&sem->l, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static inline void cw_rwsem_destroy(struct cw_rwsem *sem)
{
	pthread_rwlock_destroy(&sem->l);
}

static inline void cw_rwsem_read_lock(struct cw_rwsem *sem)
{
	pthread_rwlock_rdlock(&sem->l);
}

static inline bool cw_rwsem_read_trylock(struct cw_rwsem *sem)
{
	return pthread_rwlock_tryrdlock(&sem->l) == 0;
}

static inline void cw_rwsem_read_unlock(struct cw_rwsem *sem)
{
	pthread_rwlock_unlock(&sem->l);
}

static inline void cw_rwsem_write_lock(struct cw_rwsem *sem)
{
	pthread_rwlock_wrlock(&sem->l);
}

static inline void cw_rwsem_write_unlock(struct cw_rwsem *sem)
{
	pthread_rwlock_unlock(&sem->l);
}

struct cw_cond {
	pthread_cond_t c;
};

static inline void cw_cond_init(struct cw_cond *cond)
{
	pthread_cond_init(&cond->c, NULL);
}

static inline void cw_cond_destroy(struct cw_cond *cond)
{
	pthread_cond_destroy(&cond->c);
}

static inline void cw_cond_wait(struct cw_cond *cond, struct cw_mutex *mutex)
{
	pthread_cond_wait(&cond->c, &mutex->m);
}

static inline void cw_cond_signal(struct cw_cond *cond)
{
	pthread_cond_signal(&cond->c);
}

static inline void cw_cond_broadcast(struct cw_cond *cond)
{
	pthread_cond_broadcast(&cond->c);
}

#define cw_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define cw_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

struct cw_atomic64 {
	s64 v;
};

static inline s64 cw_atomic64_read(const struct cw_atomic64 *a)
{
	return __atomic_load_n(&a->v, __ATOMIC_RELAXED);
}

static inline void cw_atomic64_set(struct cw_atomic64 *a, s64 v)
{
	__atomic_store_n(&a->v, v, __ATOMIC_RELAXED);
}

static inline void cw_atomic64_add(struct cw_atomic64 *a, s64 v)
{
	__atomic_fetch_add(&a->v, v, __ATOMIC_RELAXED);
}

static inline void cw_atomic64_inc(struct cw_atomic64 *a)
{
	cw_atomic64_add(a, 1);
}

#endif
