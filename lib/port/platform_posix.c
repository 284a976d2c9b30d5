// SPDX-License-Identifier: GPL-2.0
/* The parts of platform_posix.h that are too large for a header. */
#include "platform.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void *cw_alloc(size_t size)
{
	return calloc(1, size);
}

void *cw_alloc_raw(size_t size)
{
	return malloc(size);
}

void *cw_try_alloc(size_t size)
{
	return calloc(1, size);
}

void *cw_need_alloc(size_t size)
{
	return calloc(1, size);
}

void cw_free(void *p)
{
	free(p);
}

void *cw_alloc_cached(size_t size)
{
	return malloc(size);
}

void cw_free_cached(void *p, size_t size)
{
	(void)size;
	free(p);
}

u64 cw_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

unsigned int cw_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned int)n : 1;
}
