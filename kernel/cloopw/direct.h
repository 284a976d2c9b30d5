/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading an image past the page cache. The engine caches decompressed blocks,
 * so the page cache need not keep the compressed ones.
 *
 * Direct I/O goes through buffers that meet its alignment. On a file system
 * without direct I/O, the driver reads through the page cache, and drops the
 * pages that it has read. Pages that the file system reads ahead beyond that
 * may stay.
 */
#ifndef CLOOPW_DIRECT_H
#define CLOOPW_DIRECT_H

#include <linux/types.h>

struct file;
struct cloopw_direct;

enum cloopw_direct_mode {
	CLOOPW_DIRECT_OFF,
	CLOOPW_DIRECT_ON,
	CLOOPW_DIRECT_DROP, /* wanted, but there is no direct I/O */
};

/*
 * cached: the file for reads through the page cache, borrowed. NULL: no memory.
 */
struct cloopw_direct *cloopw_direct_create(struct file *cached);
void cloopw_direct_destroy(struct cloopw_direct *direct); /* NULL is fine */

/*
 * Sets the mode. One caller at a time; reads may be under way. -ENOMEM: the
 * mode stays.
 */
int cloopw_direct_set(struct cloopw_direct *direct, bool wanted);
enum cloopw_direct_mode cloopw_direct_mode(const struct cloopw_direct *direct);

/*
 * Reads len bytes at pos by direct I/O. On -EOPNOTSUPP or another error the
 * caller reads the cached file.
 */
int cloopw_direct_read(struct cloopw_direct *direct, void *buf, size_t len,
		       loff_t pos);
/* The file from which pages of that place and length are read. */
struct file *cloopw_direct_file(const struct cloopw_direct *direct, loff_t pos,
				size_t len);
/*
 * Tells that the range was read from the cached file. In mode DROP its pages
 * are dropped.
 */
void cloopw_direct_drop_cached(const struct cloopw_direct *direct, loff_t pos,
			       size_t len);

#endif
