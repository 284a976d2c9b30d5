/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/block/cloopwN/cloopw/: the state of a disk, one value a file. */
#ifndef CLOOPW_SYSFS_H
#define CLOOPW_SYSFS_H

#include <linux/types.h>

struct cloopw_sysfs;
struct gendisk;

/* For an added disk. NULL: no memory. */
struct cloopw_sysfs *cloopw_sysfs_add(struct gendisk *gd);
/* Waits for readers of the files. NULL is fine, also in the next function. */
void cloopw_sysfs_remove(struct cloopw_sysfs *sysfs);
/*
 * Makes directories for so many layers. The directory of a missing layer is
 * empty. One caller at a time, without the disk's lock. -ENOMEM: there are
 * fewer.
 */
int cloopw_sysfs_set_layers(struct cloopw_sysfs *sysfs, u32 nr);

#endif
