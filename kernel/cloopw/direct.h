/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading an image past the page cache: what is decompressed is kept, what it
 * was made from need not be. By direct I/O, through buffers that meet its
 * demands on alignment; where the file system has none, by dropping from the
 * page cache what has been read, but for what it reads around that.
 */
#ifndef CLOOPW_DIRECT_H
#define CLOOPW_DIRECT_H

#include <linux/types.h>

struct file;
struct cw_direct;

enum cw_direct_mode {
	CW_DIRECT_OFF,
	CW_DIRECT_ON,
	CW_DIRECT_DROP, /* it is wanted, and there is no direct I/O */
};

/* cached: the file that is read otherwise, borrowed. NULL: no memory. */
struct cw_direct *cw_direct_create(struct file *cached);
void cw_direct_destroy(struct cw_direct *direct); /* NULL is fine */

/* One caller at a time; reads may be under way. -ENOMEM leaves the mode. */
int cw_direct_set(struct cw_direct *direct, bool wanted);
enum cw_direct_mode cw_direct_mode(const struct cw_direct *direct);

/* -EOPNOTSUPP or another error: read the cached file. */
int cw_direct_read(struct cw_direct *direct, void *buf, size_t len, loff_t pos);
/* The file from which pages of that place and length are read. */
struct file *cw_direct_file(const struct cw_direct *direct, loff_t pos,
			    size_t len);
/* What was read from the cached file can be dropped from there. */
void cw_direct_read_cached(const struct cw_direct *direct, loff_t pos,
			   size_t len);

#endif
