/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CLOOPW_STATUS_H
#define CLOOPW_STATUS_H

#include <linux/compiler_types.h>

struct cloopw_disk;

/* CLOOPW_GET_STATUS. Needs no privilege. */
int cloopw_get_status(struct cloopw_disk *disk, void __user *arg);

#endif
