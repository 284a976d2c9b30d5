// SPDX-License-Identifier: GPL-2.0
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECT */
#endif
#include "direct.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format.h"

/* No block device or file system wants a larger alignment. */
#define ALIGNMENT CW_PAGE_SIZE
#define BOUNCE_SIZE (256u << 10)
#define MAX_BOUNCES 16u

struct bounce {
	struct bounce *next; /* the lock of struct cw_direct */
	u8 *bytes;
};

struct cw_direct {
	int cached;           /* constant, and so is the next */
	int fd;               /* the same file with O_DIRECT; -1: it cannot */
	int mode;             /* enum cw_direct_mode */
	unsigned int bounces; /* only cw_direct_set() uses it */
	struct cw_mutex lock;
	struct bounce *idle; /* lock */
	struct cw_cond returned;
};

/* ---- buffers: made with the mode, because reads must not need memory ---- */

static void put_bounce(struct cw_direct *direct, struct bounce *bounce)
{
	cw_mutex_lock(&direct->lock);
	bounce->next = direct->idle;
	direct->idle = bounce;
	cw_cond_signal(&direct->returned);
	cw_mutex_unlock(&direct->lock);
}

static struct bounce *get_bounce(struct cw_direct *direct)
{
	struct bounce *bounce;

	cw_mutex_lock(&direct->lock);
	while (!direct->idle)
		cw_cond_wait(&direct->returned, &direct->lock);
	bounce = direct->idle;
	direct->idle = bounce->next;
	cw_mutex_unlock(&direct->lock);
	return bounce;
}

static struct bounce *make_bounce(void)
{
	struct bounce *bounce = malloc(sizeof(*bounce));

	if (!bounce)
		return NULL;
	bounce->bytes = aligned_alloc(ALIGNMENT, BOUNCE_SIZE);
	if (bounce->bytes)
		return bounce;
	free(bounce);
	return NULL;
}

static int make_bounces(struct cw_direct *direct)
{
	unsigned int wanted = cw_min(2 * cw_cpus(), MAX_BOUNCES);

	for (; direct->bounces < wanted; direct->bounces++) {
		struct bounce *bounce = make_bounce();

		if (!bounce)
			return -ENOMEM;
		put_bounce(direct, bounce);
	}
	return 0;
}

/* ---- reading ---- */

/* The file may end within the last part of the aligned range. */
static int fill_bounce(int fd, const struct bounce *bounce, u64 pos,
		       size_t wanted)
{
	size_t span = cw_round_up(wanted, ALIGNMENT);
	size_t done = 0;

	while (done < wanted) {
		ssize_t n = pread(fd, bounce->bytes + done, span - done,
				  (off_t)(pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

int cw_direct_read(struct cw_direct *direct, void *buf, size_t len, u64 pos)
{
	struct bounce *bounce = get_bounce(direct);
	u8 *at = buf;
	int err = 0;

	while (len && !err) {
		size_t skip = pos % ALIGNMENT;
		size_t part = cw_min(len, BOUNCE_SIZE - skip);

		err = fill_bounce(direct->fd, bounce, pos - skip, skip + part);
		if (!err)
			memcpy(at, bounce->bytes + skip, part);
		at += part;
		pos += part;
		len -= part;
	}
	put_bounce(direct, bounce);
	return err;
}

/* The page at the end stays, because the next read may begin there. */
void cw_direct_drop_cached(const struct cw_direct *direct, size_t len, u64 pos)
{
	u64 first = pos - pos % ALIGNMENT;
	u64 end = pos + len - (pos + len) % ALIGNMENT;

	if (cw_direct_mode(direct) == CW_DIRECT_DROP && first < end)
		posix_fadvise(direct->cached, (off_t)first,
			      (off_t)(end - first), POSIX_FADV_DONTNEED);
}

/* ---- the mode ---- */

enum cw_direct_mode cw_direct_mode(const struct cw_direct *direct)
{
	return cw_load_acquire(&direct->mode);
}

/* Some files can be opened with O_DIRECT, and fail only in the read. */
static bool can_read(struct cw_direct *direct)
{
	u8 byte;

	return direct->fd >= 0 && !cw_direct_read(direct, &byte, 1, 0);
}

int cw_direct_set(struct cw_direct *direct, bool wanted)
{
	int err;

	if (!wanted) {
		cw_store_release(&direct->mode, CW_DIRECT_OFF);
		return 0;
	}
	err = make_bounces(direct);
	if (err)
		return err;
	cw_store_release(&direct->mode,
			 can_read(direct) ? CW_DIRECT_ON : CW_DIRECT_DROP);
	posix_fadvise(direct->cached, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

struct cw_direct *cw_direct_create(int fd)
{
	struct cw_direct *direct = calloc(1, sizeof(*direct));
	char name[64];

	if (!direct)
		return NULL;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	direct->cached = fd;
	direct->fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	direct->mode = CW_DIRECT_OFF;
	cw_mutex_init(&direct->lock);
	cw_cond_init(&direct->returned);
	return direct;
}

void cw_direct_destroy(struct cw_direct *direct)
{
	struct bounce *bounce;

	if (!direct)
		return;
	while ((bounce = direct->idle)) {
		direct->idle = bounce->next;
		free(bounce->bytes);
		free(bounce);
	}
	if (direct->fd >= 0)
		close(direct->fd);
	cw_cond_destroy(&direct->returned);
	cw_mutex_destroy(&direct->lock);
	free(direct);
}
