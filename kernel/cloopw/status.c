// SPDX-License-Identifier: GPL-2.0
/* CLOOPW_GET_STATUS */
#include "status.h"

#include "attachment.h"
#include "disk.h"
#include "request.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_status) == CLOOPW_STATUS_SIZE_1);
static_assert(CW_LABEL_LEN + 1 == CLOOPW_LABEL_LEN);

static void fill_image(const struct cloopw_attachment *att,
		       struct cloopw_status *status)
{
	const struct cw_image *image = att->info.image;

	status->image_size = image->size;
	status->image_stored = image->stored_bytes;
	status->offset = att->offset;
	status->sizelimit = att->sizelimit;
	status->image_dev = att->image->dev;
	status->image_ino = att->image->ino;
	status->block_size = image->block_size;
	memcpy(status->uuid, image->uuid, sizeof(status->uuid));
	strscpy(status->label, image->label, sizeof(status->label));
	strscpy(status->format, image->format->name, sizeof(status->format));
}

static void fill_stats(const struct cloopw_attachment *att,
		       struct cloopw_status *status)
{
	struct cw_device_stats stats;

	cw_device_get_stats(att->engine, &stats);
	status->cow_live = stats.cow.live_bytes;
	status->cow_dead = stats.cow.dead_bytes;
	status->cow_total = stats.cow.total_bytes;
	status->cow_plain = stats.cow.plain_bytes;
	status->cache_hits = stats.cache.hits;
	status->cache_misses = stats.cache.misses;
	status->cache_bytes = stats.cache.bytes;
	status->cache_limit = stats.cache.limit;
	status->read_errors = stats.read_errors;
	status->write_errors = stats.write_errors;
}

static enum cloopw_state state_of(const struct cloopw_attachment *att)
{
	static const enum cloopw_state states[] = {
		[CW_COW_OK] = CLOOPW_STATE_OK,
		[CW_COW_FULL] = CLOOPW_STATE_FULL,
		[CW_COW_READ_ONLY] = CLOOPW_STATE_READ_ONLY,
		[CW_COW_FAILED] = CLOOPW_STATE_FAILED,
	};
	struct cw_cow_space space;

	cw_device_get_space(att->engine, &space);
	return states[space.state];
}

static void fill_status(const struct cloopw_attachment *att,
			struct cloopw_status *status)
{
	const struct cw_layers *layers = cw_device_layers(att->engine);

	status->state = state_of(att);
	status->flags = att->flags & ~CLOOPW_F_DIRECT_IO;
	if (cloopw_backing_direct_mode(att->image) == CLOOPW_DIRECT_ON)
		status->flags |= CLOOPW_F_DIRECT_IO;
	if (!att->info.writable)
		status->flags |= CLOOPW_F_READ_ONLY;
	status->nr_layers = layers->nr;
	status->device_size = att->info.size;
	if (layers->nr)
		strscpy(status->cow_format, layers->layer[0]->format->name,
			sizeof(status->cow_format));
	fill_image(att, status);
	fill_stats(att, status);
}

int cloopw_get_status(struct cloopw_disk *disk, void __user *arg)
{
	struct cloopw_status status = {};
	u32 size;
	int err;

	err = cloopw_read_size(arg, CLOOPW_STATUS_SIZE_1, &size);
	if (err)
		return err;
	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_ATTACHED)
		fill_status(disk->attachment, &status);
	mutex_unlock(&disk->lock);
	return cloopw_write_answer(arg, &status, sizeof(status), size);
}
