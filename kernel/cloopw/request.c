// SPDX-License-Identifier: GPL-2.0
/* The arguments of ioctls: copied in and checked, and the reason copied out. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "request.h"

#include <linux/blkdev.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_reason) == CLOOPW_REASON_SIZE_1);

int cloopw_read_size(const void __user *arg, size_t least, u32 *size)
{
	if (get_user(*size, (const u32 __user *)arg))
		return -EFAULT;
	if (*size < least)
		return -EINVAL;
	return *size > PAGE_SIZE ? -E2BIG : 0;
}

int cloopw_read_request(void *request, size_t len, const void __user *arg,
			size_t least)
{
	u32 size;
	int err = cloopw_read_size(arg, least, &size);

	return err ? err : copy_struct_from_user(request, len, arg, size);
}

int cloopw_write_answer(void __user *arg, void *answer, size_t len, u32 size)
{
	size_t known = min_t(size_t, size, len);

	*(u32 *)answer = known;
	if (copy_to_user(arg, answer, known) ||
	    clear_user(arg + known, size - known))
		return -EFAULT;
	return 0;
}

/* A bad address of the reason is not another failure. */
void cloopw_write_reason(const struct cw_report *report, u64 address)
{
	struct cloopw_reason __user *reason = u64_to_user_ptr(address);
	u32 size;

	if (!address)
		return;
	if (cloopw_read_size(reason, CLOOPW_REASON_SIZE_1, &size) ||
	    put_user(report->code, &reason->code) ||
	    copy_to_user(reason->text, report->text, strlen(report->text) + 1))
		pr_debug("the reason's address is bad\n");
}

int cloopw_check_window(u64 offset, u64 sizelimit, struct cw_report *report)
{
	u64 end;

	if (offset % SECTOR_SIZE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_WINDOW,
				 "offset %llu is not a multiple of %u", offset,
				 SECTOR_SIZE);
	if (cw_add_overflows(offset, sizelimit, &end) || end > LLONG_MAX)
		return cw_refuse(report, -EOVERFLOW, CLOOPW_R_BAD_WINDOW,
				 "offset and size limit are too large");
	return 0;
}
