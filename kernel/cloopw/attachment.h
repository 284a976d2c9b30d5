/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that a disk has while an image is attached: the engine, the files behind
 * it and its threads. The driver makes an attachment before the disk sees it,
 * and it is constant from then on. There are three exceptions. A snapshot adds a
 * layer, the disk's lock guards the size in info, and direct I/O of the image
 * can be switched.
 */
#ifndef CLOOPW_ATTACHMENT_H
#define CLOOPW_ATTACHMENT_H

#include <linux/workqueue.h>

#include "backing.h"
#include "compat.h"
#include "core/device.h"
#include "watch.h"

struct cloopw_disk;

/* The arguments of an attach, decoded and checked. */
struct cloopw_setup {
	u32 flags; /* CLOOPW_F_* */
	int image_fd;
	struct file *image_file; /* instead of image_fd; NULL: none */
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
	struct cloopw_backing *image;
	/*
	 * The backings of the engine's layers: first those of the attach, the
	 * top first, then those of snapshots. Only attach, snapshot and clear
	 * use them, one at a time.
	 */
	u32 nr_layers;
	struct cloopw_backing *layers[CW_MAX_LAYERS];
	struct cloopw_backing *top;
	struct cw_device *engine;
	struct cw_device_info info;
	struct workqueue_struct *workers; /* one a disk: disks can be stacked */
	struct workqueue_struct *writer;  /* NULL: nobody writes */
	struct workqueue_struct *streamer; /* NULL: there are no streams */
	struct workqueue_struct *local; /* one small request at a time */
	atomic_t busy;  /* requests that workers have; a hint for queue_of() */
	/*
	 * The latest stream: reads that lie side by side. Its range, and the
	 * part of it that a worker has fetched. No part is fetched while
	 * fetched_end < fetched_start. In sectors. Hints, so no lock guards
	 * them.
	 */
	u64 stream_start, stream_end;
	u64 fetched_start, fetched_end;
	struct shrinker *shrinker;
	struct cloopw_watch *watch;
};

/*
 * Opens the files and the engine, and starts the workers. On error *out is NULL
 * and the report says why.
 */
int cloopw_attachment_create(struct cloopw_disk *disk,
			     const struct cloopw_setup *setup,
			     struct cloopw_attachment **out,
			     struct cw_report *report);

/*
 * Puts the layer in the file fd on top of the layers, while requests are
 * served. One caller at a time. elsewhere: the caller knows that the file does
 * not lie on the disk. On error nothing has changed and the report says why.
 */
int cloopw_attachment_snapshot(struct cloopw_attachment *att,
			       struct cloopw_disk *disk, int fd, bool elsewhere,
			       struct cw_report *report);

/*
 * Has a worker call run(att, arg) in the context of requests, and returns the
 * result. All changes of a COW file go this way. A signal to the caller, such
 * as SIGKILL, or a limit of the caller, such as RLIMIT_FSIZE, would stop a
 * write halfway. To the engine that would be a failure of the file.
 */
int cloopw_attachment_run(struct cloopw_attachment *att,
			  int (*run)(struct cloopw_attachment *att, void *arg),
			  void *arg);

/*
 * Flushes, frees all of it, and returns the result of the flush. Nothing may be
 * in flight. NULL is fine, and so is a half made one.
 */
int cloopw_attachment_destroy(struct cloopw_attachment *att);

#endif
