/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only door between the engine and the world it is compiled in.
 *
 * One small API has two implementations: ../platform_linux.h for the module,
 * and lib/port/platform_posix.h for the library. Nothing else in core/ may know
 * which of them is in use. Each must provide:
 *
 *   types      u8 u16 u32 u64 s32 s64 bool size_t, __le16..__be64
 *   byte order cw_from_le{16,32,64}() cw_to_le{16,32,64}()
 *              cw_from_be{32,64}()    cw_to_be{32,64}()
 *   memory     for a caller that can fail, such as an attach:
 *              cw_alloc()   zeroed, any size, may sleep, NULL when there is none
 *              cw_alloc_raw() the same, not zeroed
 *              for a request, which others wait for to get memory; zeroed:
 *              cw_try_alloc() NULL soon: the caller has a way without it
 *              cw_need_alloc() there is no such way: waits until there is some.
 *                           In a program it returns NULL, and the request fails
 *              cw_free()    frees all these; accepts NULL
 *              cw_alloc_cached() like cw_try_alloc(), not zeroed, for memory that
 *                           a shrinker gives back, and counted as such
 *              cw_free_cached() frees that; takes its length
 *   locks      struct cw_mutex   cw_mutex_{init,destroy,lock,trylock,unlock}
 *              struct cw_rwsem   cw_rwsem_{init,destroy,read_lock,read_trylock,
 *                                read_unlock,write_lock,write_unlock}
 *              struct cw_cond    cw_cond_{init,destroy,wait,signal,broadcast};
 *                                wait drops the mutex while it sleeps and may
 *                                wake without cause; signal wakes one
 *   atomics    struct cw_atomic64  cw_atomic64_{read,set,add,inc}
 *              cw_load_acquire(p), cw_store_release(p, v): a reader of the
 *              pointer finds all that was written before its store
 *   checksum   cw_crc32c(buf, len): the usual CRC-32C (seed and final xor ~0)
 *   C          ARRAY_SIZE() BIT() BIT_ULL() static_assert(), with a text, and
 *              the attributes __packed, __aligned() and __printf()
 *   bits       cw_popcount(): how many of 32 are set
 *   processors cw_cpus(): how many can run at once
 *   time       cw_now_ms(): milliseconds that only go forward
 *   messages   cw_vformat(): vsnprintf; cw_log_bad(): one rate-limited line
 *   codecs     the ops of codec.h; CW_ZLIB_MAX_LEVEL: its libraries differ in
 *              that; CW_USERSPACE_ONLY(op): NULL in the kernel
 *
 * Any thread that is allowed to sleep may call all functions.
 */
#ifndef CLOOPW_PLATFORM_H
#define CLOOPW_PLATFORM_H

#ifdef __KERNEL__
#include "../platform_linux.h"
#define CW_ZLIB_MAX_LEVEL 9
#define CW_USERSPACE_ONLY(...) NULL
#else
#include "platform_posix.h"
#define CW_ZLIB_MAX_LEVEL 12 /* libdeflate searches longer than zlib */
#define CW_USERSPACE_ONLY(op) op
#endif

/* Sizes and offsets are 64 bits wide and may be as large as the device. */
static_assert(sizeof(size_t) == 8, "cloopw needs a 64-bit machine");

#define CW_SECTOR_SHIFT 9
#define CW_SECTOR_SIZE 512u
#define CW_PAGE_SHIFT 12 /* the page of cloopw's formats, not the machine's */
#define CW_PAGE_SIZE 4096u

static inline u64 cw_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 cw_max(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* *sum = a + b; true when the sum does not fit 64 bits */
static inline bool cw_add_overflows(u64 a, u64 b, u64 *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

/* *product = a * b; true when the product does not fit 64 bits */
static inline bool cw_mul_overflows(u64 a, u64 b, u64 *product)
{
	return __builtin_mul_overflow(a, b, product);
}

/* true when [off, off + len) does not lie inside [0, size) */
static inline bool cw_outside(u64 off, u64 len, u64 size)
{
	u64 end;

	return cw_add_overflows(off, len, &end) || end > size;
}

static inline u64 cw_div_up(u64 a, u64 b)
{
	return a / b + (a % b != 0);
}

/* a up to a multiple of b, a power of two; a must be below 2^64 - b */
static inline u64 cw_round_up(u64 a, u64 b)
{
	return (a + b - 1) & ~(b - 1);
}

static inline bool cw_is_power_of_2(u64 a)
{
	return a && !(a & (a - 1));
}

#endif
