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
struct cw_direct;

enum cw_direct_mode {
	CW_DIRECT_OFF,
	CW_DIRECT_ON,
	CW_DIRECT_DROP, /* wanted, but there is no direct I/O */
};

/*
 * cached: the file for reads through the page cache, borrowed. NULL: no memory.
 */
struct cw_direct *cw_direct_create(struct file *cached);
void cw_direct_destroy(struct cw_direct *direct); /* NULL is fine */

/*
 * Sets the mode. One caller at a time; reads may be under way. -ENOMEM: the
 * mode stays.
 */
int cw_direct_set(struct cw_direct *direct, bool wanted);
enum cw_direct_mode cw_direct_mode(const struct cw_direct *direct);

/*
 * Reads len bytes at pos by direct I/O. On -EOPNOTSUPP or another error the
 * caller reads the cached file.
 */
int cw_direct_read(struct cw_direct *direct, void *buf, size_t len, loff_t pos);
/* The file from which pages of that place and length are read. */
struct file *cw_direct_file(const struct cw_direct *direct, loff_t pos,
			    size_t len);
/*
 * Tells that the range was read from the cached file. In mode DROP its pages
 * are dropped.
 */
void cw_direct_read_cached(const struct cw_direct *direct, loff_t pos,
			   size_t len);

#endif
