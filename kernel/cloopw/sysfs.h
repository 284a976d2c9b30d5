/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/block/cloopwN/cloopw/: how a disk does, one value a file. */
#ifndef CLOOPW_SYSFS_H
#define CLOOPW_SYSFS_H

#include <linux/types.h>

struct cloopw_sysfs;
struct gendisk;

/* For a disk that has been added. NULL: no memory. */
struct cloopw_sysfs *cloopw_sysfs_add(struct gendisk *gd);
/* Waits for who reads. NULL is fine, as for the next. */
void cloopw_sysfs_remove(struct cloopw_sysfs *sysfs);
/*
 * Has directories for so many layers, empty ones for those that are not there
 * yet. One caller at a time, without the disk's lock. -ENOMEM: there are fewer.
 */
int cloopw_sysfs_set_layers(struct cloopw_sysfs *sysfs, u32 nr);

#endif
