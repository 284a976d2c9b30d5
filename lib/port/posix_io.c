// SPDX-License-Identifier: GPL-2.0
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* fallocate */
#endif
#include "posix_io.h"

#include "physical_block.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Linux transfers no more than about 2 GiB in one call. */
#define MAX_TRANSFER (1u << 30)

struct fd_io {
	struct cw_io io;
	char *name;
	int fd;
	u64 offset;  /* constant */
	u64 limit;   /* constant; 0: none */
	u64 largest; /* constant; longest file of its file system */
	struct cw_direct *direct; /* NULL until it is wanted */
	bool failed;              /* constant: a writeback did, before */
};

static struct fd_io *to_fd_io(struct cw_io *io)
{
	return (struct fd_io *)((char *)io - offsetof(struct fd_io, io));
}

static bool outside_window(const struct fd_io *f, size_t len, u64 off)
{
	u64 end;

	if (cw_add_overflows(off, len, &end) ||
	    cw_add_overflows(f->offset, end, &end) || end > INT64_MAX)
		return true;
	return f->limit && cw_outside(off, len, f->limit);
}

static int read_cached(int fd, u8 *at, size_t len, u64 off)
{
	while (len) {
		ssize_t n =
			pread(fd, at, cw_min(len, MAX_TRANSFER), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		at += n;
		off += (u64)n;
		len -= (size_t)n;
	}
	return 0;
}

static enum cw_direct_mode direct_mode(const struct fd_io *f)
{
	const struct cw_direct *direct = cw_load_acquire(&f->direct);

	return direct ? cw_direct_mode(direct) : CW_DIRECT_OFF;
}

static int fd_pread(struct cw_io *io, void *buf, size_t len, u64 off)
{
	struct fd_io *f = to_fd_io(io);
	enum cw_direct_mode mode = direct_mode(f);
	int err;

	if (outside_window(f, len, off))
		return -EIO;
	off += f->offset;
	if (mode == CW_DIRECT_ON)
		return cw_direct_read(f->direct, buf, len, off);
	err = read_cached(f->fd, buf, len, off);
	if (mode == CW_DIRECT_DROP)
		cw_direct_drop_cached(f->direct, len, off);
	return err;
}

static void fd_will_read(struct cw_io *io, u64 off, u64 len)
{
	struct fd_io *f = to_fd_io(io);

	if (direct_mode(f) != CW_DIRECT_ON && !outside_window(f, len, off))
		posix_fadvise(f->fd, (off_t)(f->offset + off), (off_t)len,
			      POSIX_FADV_WILLNEED);
}

static int fd_pwrite(struct cw_io *io, const void *buf, size_t len, u64 off)
{
	struct fd_io *f = to_fd_io(io);
	const u8 *at = buf;

	if (outside_window(f, len, off))
		return -ENOSPC;
	off += f->offset;
	while (len) {
		ssize_t n = pwrite(f->fd, at, cw_min(len, MAX_TRANSFER),
				   (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		at += n;
		off += (u64)n;
		len -= (size_t)n;
	}
	return 0;
}

static int fd_flush(struct cw_io *io)
{
	struct fd_io *f = to_fd_io(io);

	if (f->failed)
		return -EIO;
	while (fdatasync(f->fd))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static bool is_device(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISBLK(st.st_mode);
}

static int whole_size(int fd, u64 *size)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
	*size = (u64)st.st_size;
	return 0;
}

static int fd_allocate(struct cw_io *io, u64 off, u64 len)
{
	struct fd_io *f = to_fd_io(io);
	u64 size;
	int err;

	if (outside_window(f, len, off))
		return -ENOSPC;
	if (is_device(f->fd)) {
		err = whole_size(f->fd, &size);
		if (err)
			return err;
		return cw_outside(f->offset + off, len, size) ? -ENOSPC : 0;
	}
	while (fallocate(f->fd, 0, (off_t)(f->offset + off), (off_t)len)) {
		if (errno == ENOSYS || errno == ENODEV)
			return -EOPNOTSUPP;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int fd_punch(struct cw_io *io, u64 off, u64 len)
{
	struct fd_io *f = to_fd_io(io);

	if (outside_window(f, len, off))
		return -EINVAL;
	if (!len)
		return 0;
	while (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(f->offset + off), (off_t)len)) {
		if (errno == ENOSYS || errno == ENODEV)
			return -EOPNOTSUPP;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int fd_size(struct cw_io *io, u64 *size)
{
	struct fd_io *f = to_fd_io(io);
	u64 whole;
	int err = whole_size(f->fd, &whole);

	if (err)
		return err;
	*size = whole > f->offset ? whole - f->offset : 0;
	if (f->limit)
		*size = cw_min(*size, f->limit);
	return 0;
}

/*
 * The longest file that the file system allows: 4 GiB less 1 on FAT. It shows
 * in the offsets that the file system accepts; none of them is ever used.
 */
static u64 largest_file(int fd)
{
	off_t before = lseek(fd, 0, SEEK_CUR);
	u64 fits = 0;
	u64 most = INT64_MAX;

	while (fits < most) {
		u64 middle = fits + (most - fits + 1) / 2;

		if (lseek(fd, (off_t)middle, SEEK_SET) < 0)
			most = middle - 1;
		else
			fits = middle;
	}
	return lseek(fd, before, SEEK_SET) == before && fits ? fits : INT64_MAX;
}

/* This process's limit may be less. */
static u64 largest_now(const struct fd_io *f)
{
	struct rlimit most;
	u64 largest = f->largest;

	if (!getrlimit(RLIMIT_FSIZE, &most) && most.rlim_cur != RLIM_INFINITY)
		largest = cw_min(largest, (u64)most.rlim_cur);
	return largest > f->offset ? largest - f->offset : 0;
}

static int fd_capacity(struct cw_io *io, u64 *bytes)
{
	struct fd_io *f = to_fd_io(io);
	struct statvfs fs;
	struct stat st;

	if (is_device(f->fd))
		return fd_size(io, bytes);
	if (fstat(f->fd, &st) || fstatvfs(f->fd, &fs))
		return -errno;
	if (!fs.f_blocks)
		return -EOPNOTSUPP;
	*bytes = (u64)st.st_blocks * CW_SECTOR_SIZE +
		 (u64)fs.f_bfree * fs.f_frsize;
	*bytes = cw_min(*bytes, largest_now(f));
	return 0;
}

static u64 fd_next_data(struct cw_io *io, u64 off)
{
	struct fd_io *f = to_fd_io(io);
	off_t data = lseek(f->fd, (off_t)(f->offset + off), SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? ~0ull : off;
	return (u64)data - f->offset;
}

static const struct cw_io_ops fd_ops = {
	.pread = fd_pread,
	.will_read = fd_will_read,
	.pwrite = fd_pwrite,
	.flush = fd_flush,
	.allocate = fd_allocate,
	.punch = fd_punch,
	.size = fd_size,
	.capacity = fd_capacity,
	.next_data = fd_next_data,
};

static void fd_io_free(struct fd_io *f)
{
	cw_direct_destroy(f->direct);
	free(f->name);
	free(f);
}

/*
 * When writeback fails, the page cache may show data that never reaches the
 * medium, because it counts as written. A log must not be recovered from such
 * data. An error of an earlier user's write is not reported to this one.
 */
static void forget_unwritten(int fd)
{
	if (fdatasync(fd) && fdatasync(fd))
		return; /* it fails again when it matters */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/*
 * Has a writeback failed whose error nobody has got yet? The kernel tells it for the whole
 * file, and this waits for no more than the first page.
 */
static bool has_lost(int fd)
{
	return sync_file_range(fd, 0, 1, SYNC_FILE_RANGE_WAIT_BEFORE) &&
	       errno != EINVAL && errno != ENOSYS;
}

static bool is_writable(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

int cw_fd_io_create(const struct cw_fd_io_config *config, struct cw_io **out)
{
	struct fd_io *f;
	struct stat st;

	*out = NULL;
	if (fstat(config->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->name = strdup(config->name);
	if (!f->name) {
		fd_io_free(f);
		return -ENOMEM;
	}
	f->fd = config->fd;
	if (is_writable(f->fd)) {
		if (config->resume)
			f->failed = has_lost(f->fd);
		else
			forget_unwritten(f->fd);
	}
	f->offset = config->offset;
	f->limit = config->limit;
	f->largest = S_ISREG(st.st_mode) ? largest_file(f->fd) : INT64_MAX;
	f->io.ops = &fd_ops;
	f->io.name = f->name;
	/* A node's time is that of its last event, not of the content. */
	f->io.mtime = S_ISREG(st.st_mode) ? st.st_mtime : 0;
	f->io.whole_pages = S_ISBLK(st.st_mode);
	f->io.physical_block = cw_physical_block(config->fd);
	*out = &f->io;
	return 0;
}

int cw_fd_io_fd(const struct cw_io *io)
{
	if (!io || io->ops != &fd_ops)
		return -1;
	return to_fd_io((struct cw_io *)io)->fd;
}

void cw_fd_io_expect_random(const struct cw_io *io)
{
	int fd = cw_fd_io_fd(io);

	if (fd >= 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

int cw_fd_io_set_direct(struct cw_io *io, bool wanted)
{
	struct cw_direct *direct;
	struct fd_io *f;

	if (cw_fd_io_fd(io) < 0)
		return -EOPNOTSUPP;
	f = to_fd_io(io);
	if (!f->direct && wanted) {
		direct = cw_direct_create(f->fd);
		if (!direct)
			return -ENOMEM;
		cw_store_release(&f->direct, direct);
	}
	return f->direct ? cw_direct_set(f->direct, wanted) : 0;
}

enum cw_direct_mode cw_fd_io_direct_mode(const struct cw_io *io)
{
	return cw_fd_io_fd(io) < 0 ? CW_DIRECT_OFF :
				     direct_mode(to_fd_io((struct cw_io *)io));
}

/* ---- memory ---- */

struct mem_io {
	struct cw_io io;
	char *name;
	u64 max; /* constant */
	struct cw_rwsem lock;
	u8 *bytes;    /* lock */
	u64 size;     /* lock */
	u64 capacity; /* lock; of bytes */
};

static struct mem_io *to_mem_io(struct cw_io *io)
{
	return (struct mem_io *)((char *)io - offsetof(struct mem_io, io));
}

static int mem_pread(struct cw_io *io, void *buf, size_t len, u64 off)
{
	struct mem_io *m = to_mem_io(io);
	int err = 0;

	cw_rwsem_read_lock(&m->lock);
	if (cw_outside(off, len, m->size))
		err = -EIO;
	else if (len)
		memcpy(buf, m->bytes + off, len);
	cw_rwsem_read_unlock(&m->lock);
	return err;
}

/* Makes the file at least size bytes long; the lock is held for writing. */
static int mem_grow(struct mem_io *m, u64 size)
{
	u64 capacity = cw_max(m->capacity, 4096);
	u8 *bytes;

	if (size <= m->size)
		return 0;
	if (size > m->max)
		return -ENOSPC;
	while (capacity < size)
		capacity *= 2;
	if (capacity != m->capacity) {
		bytes = realloc(m->bytes, capacity);
		if (!bytes)
			return -ENOMEM;
		m->bytes = bytes;
		m->capacity = capacity;
	}
	memset(m->bytes + m->size, 0, size - m->size);
	m->size = size;
	return 0;
}

static int mem_pwrite(struct cw_io *io, const void *buf, size_t len, u64 off)
{
	struct mem_io *m = to_mem_io(io);
	u64 end;
	int err;

	if (cw_add_overflows(off, len, &end))
		return -ENOSPC;
	if (!len)
		return 0;
	cw_rwsem_write_lock(&m->lock);
	err = mem_grow(m, end);
	if (!err)
		memcpy(m->bytes + off, buf, len);
	cw_rwsem_write_unlock(&m->lock);
	return err;
}

static int mem_flush(struct cw_io *io)
{
	(void)io;
	return 0;
}

static int mem_allocate(struct cw_io *io, u64 off, u64 len)
{
	struct mem_io *m = to_mem_io(io);
	u64 end;
	int err;

	if (cw_add_overflows(off, len, &end))
		return -ENOSPC;
	cw_rwsem_write_lock(&m->lock);
	err = mem_grow(m, end);
	cw_rwsem_write_unlock(&m->lock);
	return err;
}

static int mem_punch(struct cw_io *io, u64 off, u64 len)
{
	struct mem_io *m = to_mem_io(io);

	cw_rwsem_write_lock(&m->lock);
	if (off < m->size)
		memset(m->bytes + off, 0, cw_min(len, m->size - off));
	cw_rwsem_write_unlock(&m->lock);
	return 0;
}

static int mem_size(struct cw_io *io, u64 *size)
{
	struct mem_io *m = to_mem_io(io);

	cw_rwsem_read_lock(&m->lock);
	*size = m->size;
	cw_rwsem_read_unlock(&m->lock);
	return 0;
}

static const struct cw_io_ops mem_ops = {
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.flush = mem_flush,
	.allocate = mem_allocate,
	.punch = mem_punch,
	.size = mem_size,
};

static void mem_io_free(struct mem_io *m)
{
	cw_rwsem_destroy(&m->lock);
	free(m->bytes);
	free(m->name);
	free(m);
}

int cw_mem_io_create(const char *name, const void *bytes, size_t len, u64 max,
		     struct cw_io **out)
{
	struct mem_io *m = calloc(1, sizeof(*m));
	int err = -ENOMEM;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	cw_rwsem_init(&m->lock);
	m->io.ops = &mem_ops;
	m->max = max;
	m->name = strdup(name);
	if (!m->name)
		goto free_m;
	m->io.name = m->name;
	err = mem_pwrite(&m->io, bytes, len, 0);
	if (err)
		goto free_m;
	*out = &m->io;
	return 0;

free_m:
	mem_io_free(m);
	return err;
}

void cw_io_destroy(struct cw_io *io)
{
	if (!io)
		return;
	if (io->ops == &mem_ops) {
		mem_io_free(to_mem_io(io));
		return;
	}
	close(to_fd_io(io)->fd);
	fd_io_free(to_fd_io(io));
}
