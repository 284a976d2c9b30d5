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

struct cw_backing_request {
	int fd;               /* of the process that asks */
	struct file *file;    /* instead of it; NULL: none */
	const char *role;     /* "image", "COW layer": for messages */
	bool writable;
	bool direct;          /* can be read past the page cache */
	u64 offset;           /* where the window begins in the file */
	u64 sizelimit;        /* and how long it is; 0: up to the file's end */
	struct gendisk *disk; /* the device it is for */
	bool in_use;          /* that is, so it may lie on it, through others */
	bool elsewhere;       /* the caller knows that it does not */
};

struct cw_backing {
	struct cw_io io;       /* constant, as all but what says else */
	struct file *file;     /* opened by us: its flags are nobody else's */
	struct file *user;     /* what was given to us: with its locks */
	u64 offset;
	u64 sizelimit;         /* U64_MAX: none */
	bool writable;         /* changed by who has it alone; backings_lock */
	u64 dev;               /* st_dev, st_ino and st_rdev of the file */
	u64 ino;
	u64 rdev;
	struct gendisk *disk;  /* that it is for */
	struct cw_direct *direct; /* NULL: always through the page cache */
	struct cw_claim claim;    /* of a block device */
	struct list_head node; /* backings_lock */
};

/* On error *out is NULL and the report says why. */
int cw_backing_open(const struct cw_backing_request *request,
		    struct cw_backing **out, struct cw_report *report);
/* It is not written any more, so others may read it. */
void cw_backing_set_read_only(struct cw_backing *backing);
void cw_backing_close(struct cw_backing *backing); /* NULL is fine */

/* " (deleted)" behind the name of a file that has lost it, as in /proc; else "". */
const char *cw_backing_mark(struct cw_io *io);

/* For what was opened so: it is read past the page cache, or not any more. */
int cw_backing_set_direct(struct cw_backing *backing, bool wanted);
enum cw_direct_mode cw_backing_direct_mode(const struct cw_backing *backing);

/* It is read in pieces here and there; whoever knows better says it with will_read. */
void cw_backing_expect_random(struct cw_backing *backing);

/* Reads or writes the request's data from pos of the engine's io on. */
int cw_backing_move_request(struct cw_io *io, u64 pos, struct request *rq);

#endif
