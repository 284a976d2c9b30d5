// SPDX-License-Identifier: GPL-2.0
#include "reads.h"

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attachment.h"
#include "compat.h"
#include "core/recorder.h"
#include "disk.h"
#include "request.h"
#include "uapi/cloopw.h"

/* A call returns so many at most, because it has to hold them. */
#define MAX_READS 4096u

static_assert(sizeof(struct cloopw_reads) == CLOOPW_READS_SIZE_1);
static_assert(sizeof(struct cloopw_first_read) == sizeof(struct cw_first_read));
static_assert(offsetof(struct cloopw_first_read, ms) ==
	      offsetof(struct cw_first_read, ms));

/* Fills request->nr and block_size. The disk's lock keeps the attachment. */
static int get_reads(struct cloopw_disk *disk, struct cloopw_reads *request,
		     struct cw_first_read *reads)
{
	const struct cw_image *image;
	int err = 0;

	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase != CLOOPW_ATTACHED) {
		err = -ENXIO;
		goto unlock;
	}
	image = disk->attachment->info.image;
	if (!image->recorder) {
		err = -ENODATA;
		goto unlock;
	}
	request->block_size = image->block_size;
	request->nr = cw_recorder_get(image->recorder, request->from,
				      request->nr, reads);
unlock:
	mutex_unlock(&disk->lock);
	return err;
}

int cloopw_get_reads(struct cloopw_disk *disk, void __user *arg)
{
	struct cloopw_reads request = {};
	struct cw_first_read *reads;
	u32 size;
	int err;

	err = cloopw_read_request(&request, sizeof(request), arg,
				  CLOOPW_READS_SIZE_1);
	if (err)
		return err;
	if (request.flags || request.reserved)
		return -EINVAL;
	size = request.size;
	request.nr = min(request.nr, MAX_READS);
	reads = kvmalloc_array(max(request.nr, 1u), sizeof(*reads), GFP_KERNEL);
	if (!reads)
		return -ENOMEM;
	err = get_reads(disk, &request, reads);
	request.size = min_t(u32, size, sizeof(request));
	if (!err && (copy_to_user(u64_to_user_ptr(request.reads), reads,
				  request.nr * sizeof(*reads)) ||
		     copy_to_user(arg, &request, request.size)))
		err = -EFAULT;
	kvfree(reads);
	return err;
}
