/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads of a file past the page cache, as kernel/cloopw/direct.c makes them: by direct I/O
 * through buffers. Where the file has none, the pages that were read are dropped. C and C++.
 */
#ifndef CLOOPW_LIB_DIRECT_H
#define CLOOPW_LIB_DIRECT_H

#ifdef __cplusplus
extern "C" {
#endif

#include "platform.h"

enum cw_direct_mode {
	CW_DIRECT_OFF,
	CW_DIRECT_ON,
	CW_DIRECT_DROP, /* the file has no direct I/O */
};

struct cw_direct;

/* fd is borrowed until cw_direct_destroy(). NULL: out of memory. */
struct cw_direct *cw_direct_create(int fd);

/* NULL is fine. */
void cw_direct_destroy(struct cw_direct *direct);

/* Takes the memory that reads need. 0 or -ENOMEM, which leaves the mode. */
int cw_direct_set(struct cw_direct *direct, bool wanted);

enum cw_direct_mode cw_direct_mode(const struct cw_direct *direct);

/* Only with the mode ON. 0 or -errno; -EIO: the file ends before. */
int cw_direct_read(struct cw_direct *direct, void *buf, size_t len, u64 pos);

/* After a read by the page cache: drops these bytes from it where the mode is DROP. */
void cw_direct_drop_cached(const struct cw_direct *direct, size_t len, u64 pos);

#ifdef __cplusplus
}
#endif

#endif
