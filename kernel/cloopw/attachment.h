/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that a disk has while an image is attached to it: the engine, the files
 * behind it and the threads that serve it. Made before the disk sees it, and
 * constant from then on, but for what a snapshot adds, the size in info, which
 * the disk's lock guards, and how the image is read.
 */
#ifndef CLOOPW_ATTACHMENT_H
#define CLOOPW_ATTACHMENT_H

#include <linux/workqueue.h>

#include "backing.h"
#include "compat.h"
#include "core/device.h"
#include "watch.h"

struct cloopw_disk;

/* What was asked for, decoded and checked. */
struct cloopw_setup {
	u32 flags; /* CLOOPW_F_* */
	int image_fd;
	struct file *image_file; /* instead of it; NULL: none */
	u32 nr_layers;
	int layer_fds[CW_MAX_LAYERS]; /* the top first */
	u64 offset;
	u64 sizelimit;
	u64 cache_bytes;
	const struct cw_image_format *format; /* NULL: probe */
};

struct cloopw_attachment {
	u32 flags;
	u64 offset;
	u64 sizelimit;
	struct cw_backing *image;
	/*
	 * What the engine's layers lie in: as attached, the top first, then
	 * what snapshots have added. Of who attaches, makes a snapshot, clears.
	 */
	u32 nr_layers;
	struct cw_backing *layers[CW_MAX_LAYERS];
	struct cw_backing *top;
	struct cw_device *engine;
	struct cw_device_info info;
	struct workqueue_struct *workers; /* one a disk: disks can be stacked */
	struct workqueue_struct *writer;  /* NULL: nobody writes */
	struct workqueue_struct *streamer; /* NULL: there are no streams */
	struct workqueue_struct *local; /* one small request at a time */
	atomic_t busy;  /* requests that workers have; a hint for the next */
	/*
	 * The reads that were asked for last and lie side by side, and what of
	 * them has been fetched; no stream is fetched yet where end is less than
	 * start. Sectors; hints, read and written without a lock.
	 */
	u64 stream_start, stream_end;
	u64 fetched_start, fetched_end;
	struct cw_compat_shrinker shrinker;
	struct cloopw_watch *watch;
};

/* On error *out is NULL and the report says why. */
int cloopw_attachment_create(struct cloopw_disk *disk,
			     const struct cloopw_setup *setup,
			     struct cloopw_attachment **out,
			     struct cw_report *report);

/*
 * Puts the file on top of the layers, while requests are served; one at a
 * time. elsewhere: the caller knows that it does not lie on the disk. On error
 * nothing has changed and the report says why.
 */
int cloopw_attachment_snapshot(struct cloopw_attachment *att,
			       struct cloopw_disk *disk, int fd, bool elsewhere,
			       struct cw_report *report);

/*
 * Has a worker call run(att, arg), as it serves requests, and returns what that
 * does. What changes a COW file goes this way: what the caller is sent, such as
 * SIGKILL, and what it may, such as RLIMIT_FSIZE, would make writing fail
 * halfway, which is a failure of the file to the engine and to all who write.
 */
int cloopw_attachment_run(struct cloopw_attachment *att,
			  int (*run)(struct cloopw_attachment *att, void *arg),
			  void *arg);

/*
 * Nothing may be in flight. Flushes and frees all of it; returns what the
 * flush did. NULL is fine, and so is one that was made by half.
 */
int cloopw_attachment_destroy(struct cloopw_attachment *att);

#endif
