/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_READS_H
#define CLOOPW_READS_H

#include <linux/compiler_types.h>

struct cloopw_disk;

/* CLOOPW_GET_READS: which blocks of the image were read first. */
int cloopw_get_reads(struct cloopw_disk *disk, void __user *arg);

#endif
