/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does a file lie on a disk, directly or through others? A device that waits
 * for a file on itself waits for ever.
 */
#ifndef CLOOPW_STACK_H
#define CLOOPW_STACK_H

#include <linux/blkdev.h>

enum cloopw_stack_verdict {
	CLOOPW_STACK_ELSEWHERE,
	CLOOPW_STACK_ON_DISK,
	/* on a device or file system that hides what is below */
	CLOOPW_STACK_UNKNOWN,
};

/* struct super_block has as much room for its own name. */
#define CLOOPW_STACK_NAME_LEN 33

/*
 * The driver sees through partitions, overlayfs and its own devices, whose
 * files visit() knows. Loop, dm, md, network file systems and the like are
 * unknown.
 */
struct cloopw_stack {
	struct gendisk *disk;
	/*
	 * Calls look() for each file of the disk, until one call returns not 0.
	 */
	int (*visit)(const struct gendisk *disk,
		     int (*look)(struct file *file, void *arg), void *arg);
	bool (*is_ours)(const struct gendisk *disk);
	/* The name that decided: the disk's, or the file system's. */
	char where[CLOOPW_STACK_NAME_LEN];
	unsigned int depth; /* 0 at the start */
};

/* Decides where the file lies, and sets stack->where. Does no I/O. */
enum cloopw_stack_verdict cloopw_stack_look(struct cloopw_stack *stack,
					    struct file *file);

#endif
