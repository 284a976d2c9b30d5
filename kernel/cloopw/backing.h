/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Backing files: the engine's I/O over a file or a block device.
 */
#ifndef CLOOPW_BACKING_H
#define CLOOPW_BACKING_H

#include <linux/types.h>

#include "claim.h"
#include "core/io.h"
#include "core/report.h"
#include "direct.h"

struct gendisk;
struct request;

struct cloopw_backing_request {
	int fd;               /* file descriptor of the calling process */
	struct file *file;    /* instead of fd; NULL: none */
	const char *role;     /* "image", "COW layer": for messages */
	bool writable;
	bool direct;          /* cloopw_backing_set_direct() may be called */
	u64 offset;           /* the window's first byte in the file */
	u64 sizelimit;        /* the window's length; 0: up to the file's end */
	struct gendisk *disk; /* the device that uses it */
	/* the device is in use, so the file may lie on it */
	bool in_use;
	bool elsewhere;       /* the caller knows that it does not */
};

struct cloopw_backing {
	struct cw_io io;       /* constant, like all fields without a comment */
	/* opened by us, so nobody else changes its flags */
	struct file *file;
	struct file *user;     /* the caller's file, which holds its locks */
	u64 offset;
	u64 sizelimit;         /* U64_MAX: none */
	bool writable;         /* backings_lock; its only user changes it */
	u64 dev;               /* st_dev, st_ino and st_rdev of the file */
	u64 ino;
	u64 rdev;
	struct gendisk *disk;  /* the device that uses it */
	struct cloopw_direct *direct; /* NULL: always through the page cache */
	struct cloopw_claim claim;    /* the claim of a block device */
	struct list_head node; /* backings_lock */
};

/*
 * Opens the file again, checks it, claims a block device, and enters it in the
 * list of backings. On error *out is NULL and the report says why.
 */
int cloopw_backing_open(const struct cloopw_backing_request *request,
			struct cloopw_backing **out, struct cw_report *report);
/* The device does not write it any more, so other devices may read it. */
void cloopw_backing_set_read_only(struct cloopw_backing *backing);
void cloopw_backing_close(struct cloopw_backing *backing); /* NULL is fine */

/*
 * " (deleted)", behind the name of a regular file that has no name any more;
 * else "".
 */
const char *cloopw_backing_mark(struct cw_io *io);

/*
 * Switches reads past the page cache on or off. The request must have had
 * direct. 0 or -ENOMEM.
 */
int cloopw_backing_set_direct(struct cloopw_backing *backing, bool wanted);
/* The present mode of the backing's file. */
enum cloopw_direct_mode
cloopw_backing_direct_mode(const struct cloopw_backing *backing);

/*
 * A hint: reads come in pieces here and there, so the file's read-ahead is of
 * no use. will_read tells the exceptions.
 */
void cloopw_backing_expect_random(struct cloopw_backing *backing);

/*
 * Reads or writes the request's data, from pos of the engine's io on. Returns 0
 * or -errno; a part of the data may have moved.
 */
int cloopw_backing_move_request(struct cw_io *io, u64 pos, struct request *rq);

#endif
