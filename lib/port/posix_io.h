/* SPDX-License-Identifier: GPL-2.0 */
/* struct cw_io over a file descriptor or over memory. C and C++. */
#ifndef CLOOPW_LIB_POSIX_IO_H
#define CLOOPW_LIB_POSIX_IO_H

#ifdef __cplusplus
extern "C" {
#endif

#include "direct.h"
#include "io.h"

struct cw_fd_io_config {
	int fd;           /* a regular file or a block device */
	const char *name; /* for messages; copied */
	u64 offset;       /* the window's first byte in the file */
	u64 limit;        /* bytes of the window; 0: to the end */
	/*
	 * The caller goes on for a program that wrote there and has ended. It trusts the
	 * page cache. Each flush of the io fails when a writeback has failed. Without
	 * resume, the page cache is written and dropped first.
	 */
	bool resume;
};

/*
 * Takes the descriptor over on 0; on -errno the caller keeps it. -EISDIR: a directory.
 * -EINVAL: neither a file nor a block device.
 *
 * The io has only the window: reads behind it get -EIO, writes -ENOSPC.
 */
int cw_fd_io_create(const struct cw_fd_io_config *config, struct cw_io **out);

/* The descriptor of an io of cw_fd_io_create(); -1: another kind of io. */
int cw_fd_io_fd(const struct cw_io *io);

/*
 * A hint: reads come in pieces here and there, so the file's read-ahead is of no use.
 * will_read tells the exceptions. Any kind of io.
 */
void cw_fd_io_expect_random(const struct cw_io *io);

/*
 * Reads it past the page cache from now on, or by it again. -EOPNOTSUPP: another kind of
 * io. One thread at a time.
 */
int cw_fd_io_set_direct(struct cw_io *io, bool wanted);
enum cw_direct_mode cw_fd_io_direct_mode(const struct cw_io *io);

/*
 * A file in memory with a copy of the given bytes. It grows up to max bytes: writes behind
 * that get -ENOSPC, as on a full disk. 0 or -ENOMEM.
 */
int cw_mem_io_create(const char *name, const void *bytes, size_t len, u64 max,
		     struct cw_io **out);

/* Frees an io of either kind, and closes its descriptor. NULL is fine. */
void cw_io_destroy(struct cw_io *io);

#ifdef __cplusplus
}
#endif

#endif
