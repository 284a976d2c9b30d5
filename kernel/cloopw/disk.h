/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk, /dev/cloopwN, from CLOOPW_CTL_ADD to CLOOPW_CTL_REMOVE.
 *
 * Locks, in the order in which they are taken: ctl.c's lock, the block layer's
 * open_mutex of the disk, struct cloopw_disk's lock. Nothing slow is done
 * under the last: who configures or clears marks the phase and lets it go.
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
	CLOOPW_CONFIGURING, /* who set this phase makes one */
	CLOOPW_ATTACHED,
	CLOOPW_CLEARING,    /* who set this phase takes it away; no opens */
	CLOOPW_REMOVED,     /* soon gone; no opens */
};

struct cloopw_disk {
	int number;                 /* constant */
	struct gendisk *gd;         /* constant */
	struct blk_mq_tag_set tags; /* constant */
	struct cloopw_sysfs *sysfs; /* constant */

	struct mutex lock;       /* guards what follows */
	enum cloopw_phase phase;
	unsigned int openers;    /* of the disk and of its partitions */
	unsigned int holders;    /* need the attachment to stay */
	bool changing;           /* one of the holders changes it */

	/*
	 * Changed in phases CONFIGURING and CLEARING by who set the phase,
	 * with the queue frozen. So it is stable for a request, and for who
	 * holds the lock in phase ATTACHED.
	 */
	struct cloopw_attachment *attachment;
};

/* disk.c */
int cloopw_disk_init(void);
void cloopw_disk_exit(void);
struct cloopw_disk *cloopw_disk_add(int number); /* or ERR_PTR */
int cloopw_disk_remove(struct cloopw_disk *disk); /* -EBUSY: in use */
bool cloopw_disk_is_idle(struct cloopw_disk *disk);
/* Is it one of ours, without an attachment? */
bool cloopw_is_unattached(struct gendisk *gd);
bool cloopw_is_ours(const struct gendisk *gd);

/*
 * What is attached stays so until release. alone: nobody else changes it
 * meanwhile. -ENXIO: nothing is attached, -EBUSY: not now, -EINTR.
 */
int cloopw_disk_hold(struct cloopw_disk *disk, bool alone);
void cloopw_disk_release(struct cloopw_disk *disk, bool alone);
/*
 * Has what is in the page cache written; the error is that of what could not be
 * written now, or earlier when nobody was told. Attached or being cleared.
 */
int cloopw_disk_sync(struct cloopw_disk *disk);

/* ctl.c */
int cloopw_ctl_init(unsigned int devices);
void cloopw_ctl_exit(void);

/* queue.c */
int cloopw_queue_init(struct cloopw_disk *disk);
void cloopw_queue_exit(struct cloopw_disk *disk);
int cloopw_queue_set_limits(struct cloopw_disk *disk,
			    const struct cloopw_attachment *att,
			    struct queue_limits *begun);

#endif
