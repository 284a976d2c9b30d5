/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does a file lie on a disk, through others? A device that waits for a file on
 * itself waits for ever.
 */
#ifndef CLOOPW_STACK_H
#define CLOOPW_STACK_H

#include <linux/blkdev.h>

enum cw_stack_verdict {
	CW_STACK_ELSEWHERE,
	CW_STACK_ON_DISK,
	CW_STACK_UNKNOWN, /* on something that the driver cannot look into */
};

/* struct super_block has as much room for a name of its own. */
#define CW_STACK_NAME_LEN 33

/*
 * The driver sees through partitions, overlayfs and its own devices, whose
 * files visit() knows; loop, dm, md, network file systems and the like are
 * unknown. where: what decided, the disk's name or the file system's.
 */
struct cw_stack {
	struct gendisk *disk;
	/* Calls look() for each file of that disk, until one is not 0. */
	int (*visit)(const struct gendisk *disk,
		     int (*look)(struct file *file, void *arg), void *arg);
	bool (*is_ours)(const struct gendisk *disk);
	char where[CW_STACK_NAME_LEN];
	unsigned int depth; /* 0 at the start */
};

enum cw_stack_verdict cw_stack_look(struct cw_stack *stack, struct file *file);

#endif
