/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk, /dev/cloopwN, from CLOOPW_CTL_ADD to CLOOPW_CTL_REMOVE.
 *
 * Locks, in the order in which they are taken: ctl.c's lock, the block layer's
 * open_mutex of the disk, struct cloopw_disk's lock. Configure and clear mark
 * the phase and drop the last lock, so that nobody waits for them. Only a
 * resize is slow under it: it freezes the queue.
 */
#ifndef CLOOPW_DISK_H
#define CLOOPW_DISK_H

#include <linux/blk-mq.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct cloopw_attachment;
struct cloopw_sysfs;

enum cloopw_phase {
	CLOOPW_IDLE,        /* no attachment */
	CLOOPW_CONFIGURING, /* the thread that set this phase attaches */
	CLOOPW_ATTACHED,
	/* the thread that set this phase detaches; no opens */
	CLOOPW_CLEARING,
	CLOOPW_REMOVED,     /* soon gone; no opens */
};

struct cloopw_disk {
	int number;                 /* constant */
	struct gendisk *gd;         /* constant */
	struct blk_mq_tag_set tags; /* constant */
	struct cloopw_sysfs *sysfs; /* constant */

	struct mutex lock;       /* guards what follows */
	enum cloopw_phase phase;
	unsigned int openers;    /* opens of the disk and of its partitions */
	/* calls of cloopw_disk_hold() without a release */
	unsigned int holders;
	bool changing;           /* a holder changes the attachment alone */

	/*
	 * Only the thread that set phase CONFIGURING or CLEARING changes it,
	 * with the queue frozen. So it is stable for a request, and for a
	 * holder of the lock in phase ATTACHED.
	 */
	struct cloopw_attachment *attachment;
};

/* disk.c */
int cloopw_disk_init(void);
void cloopw_disk_exit(void);
int cloopw_disk_major(void);
bool cloopw_disk_is_idle(struct cloopw_disk *disk);
/* Is it a disk of this driver, without an attachment? */
bool cloopw_is_unattached(struct gendisk *gd);
/* Is it a disk of this driver? */
bool cloopw_is_ours(const struct gendisk *gd);

/*
 * Keeps the attachment until release. alone: no other holder changes it
 * meanwhile. -ENXIO: nothing is attached. -EBUSY: not now. -EINTR.
 */
int cloopw_disk_hold(struct cloopw_disk *disk, bool alone);
void cloopw_disk_release(struct cloopw_disk *disk, bool alone);
/*
 * Writes back the page cache of the disk and its partitions. Returns the error
 * of that, or an earlier one that nobody has been told. Call it while attached,
 * or while clearing.
 */
int cloopw_disk_sync(struct cloopw_disk *disk);
/*
 * Empties the page cache of the disk and its partitions, without a write. The
 * caller has claimed the disk.
 */
void cloopw_disk_drop_cached(struct cloopw_disk *disk);

/* gendisk.c */
struct cloopw_disk *cloopw_disk_add(int number);  /* or ERR_PTR */
int cloopw_disk_remove(struct cloopw_disk *disk); /* -EBUSY: in use */

/* ctl.c */
int cloopw_ctl_init(unsigned int devices);
void cloopw_ctl_exit(void);

/* queue.c */
int cloopw_queue_init(struct cloopw_disk *disk);
void cloopw_queue_exit(struct cloopw_disk *disk);
/*
 * Sets limits and read-ahead for the attachment. begun: from
 * cloopw_compat_begin_limits(). The queue is frozen. On error the old limits stay.
 */
int cloopw_queue_set_limits(struct cloopw_disk *disk,
			    const struct cloopw_attachment *att,
			    struct queue_limits *lim);

#endif
