/* SPDX-License-Identifier: GPL-2.0 */
/* The arguments of ioctls. */
#ifndef CLOOPW_REQUEST_H
#define CLOOPW_REQUEST_H

#include <linux/types.h>

#include "core/report.h"

/*
 * Checks a window of an image's file, in bytes. The offset must be a multiple
 * of the sector size, and the end must fit a loff_t. 0, -EINVAL or -EOVERFLOW,
 * with a report.
 */
int cloopw_check_window(u64 offset, u64 sizelimit, struct cw_report *report);
/*
 * Reads the size of the caller's structure, its first field. -EINVAL: less than
 * least. -E2BIG: more than a page.
 */
int cloopw_read_size(const void __user *arg, size_t least, u32 *size);
/*
 * Copies the caller's structure, which begins with its size. len is its length
 * in this driver, least its first published length. Missing fields are 0;
 * -E2BIG: unknown fields are not 0.
 */
int cloopw_read_request(void *request, size_t len, const void __user *arg,
			size_t least);
/*
 * Copies the answer to the caller's structure of this size. Both begin with
 * their size, which this sets to what is known: len at most. 0 or -EFAULT.
 */
int cloopw_write_answer(void __user *arg, void *answer, size_t len, u32 size);
/*
 * Copies the reason of a failure to the caller's struct cloopw_reason. address
 * 0: there is none.
 */
void cloopw_write_reason(const struct cw_report *report, u64 address);

#endif
