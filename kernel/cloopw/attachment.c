// SPDX-License-Identifier: GPL-2.0
#include "attachment.h"

#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "budget.h"
#include "disk.h"
#include "serving.h"
#include "uapi/cloopw.h"

/* ---- the cache gives way when memory is short; counted in pages ---- */

static unsigned long count_cached(struct shrinker *shrinker,
				  struct shrink_control *sc)
{
	struct cw_cache *cache = shrinker->private_data;
	unsigned long pages = cw_cache_evictable(cache) >> PAGE_SHIFT;

	return pages ? pages : SHRINK_EMPTY;
}

static unsigned long shrink_cached(struct shrinker *shrinker,
				   struct shrink_control *sc)
{
	struct cw_cache *cache = shrinker->private_data;
	u64 freed = cw_cache_shrink(cache, (u64)sc->nr_to_scan << PAGE_SHIFT);

	return freed ? freed >> PAGE_SHIFT : SHRINK_STOP;
}

static int start_shrinker(struct cloopw_attachment *att, const char *name)
{
	att->shrinker = shrinker_alloc(0, "%s", name);
	if (!att->shrinker)
		return -ENOMEM;
	att->shrinker->count_objects = count_cached;
	att->shrinker->scan_objects = shrink_cached;
	att->shrinker->private_data = cw_device_cache(att->engine);
	shrinker_register(att->shrinker);
	return 0;
}

/* ---- making one ---- */

static int open_backings(struct cloopw_attachment *att,
			 struct cloopw_disk *disk,
			 const struct cloopw_setup *setup,
			 struct cw_report *report)
{
	struct cloopw_backing_request request = {
		.fd = setup->image_fd,
		.file = setup->image_file,
		.role = "image",
		.direct = true,
		.offset = setup->offset,
		.sizelimit = setup->sizelimit,
		.disk = disk->gd,
	};
	u32 i;
	int err;

	err = cloopw_backing_open(&request, &att->image, report);
	if (!err && setup->flags & CLOOPW_F_DIRECT_IO)
		err = cloopw_backing_set_direct(att->image, true);
	if (err)
		return err;
	request.file = NULL;
	request.direct = false;
	request.role = "COW layer";
	request.offset = 0;
	request.sizelimit = 0;
	for (i = 0; i < setup->nr_layers; i++) {
		request.fd = setup->layer_fds[i];
		request.writable = i == 0 &&
				   !(setup->flags & CLOOPW_F_READ_ONLY);
		err = cloopw_backing_open(&request, &att->layers[i], report);
		if (err)
			return err;
		att->nr_layers++;
	}
	att->top = att->layers[0];
	return 0;
}

static int open_engine(struct cloopw_attachment *att,
		       const struct cloopw_setup *setup,
		       struct cw_report *report)
{
	struct cw_device_config config = {
		.base = &att->image->io,
		.format = setup->format,
		.nr_layers = att->nr_layers,
		.read_only = setup->flags & CLOOPW_F_READ_ONLY,
		.record = setup->flags & CLOOPW_F_RECORD,
		.cache_bytes = setup->cache_bytes ? setup->cache_bytes :
						    cloopw_budget_limit(),
		.cache_budget = &cloopw_budget,
	};
	struct cw_io **ios;
	u32 i;
	int err;

	ios = kcalloc(CW_MAX_LAYERS, sizeof(*ios), GFP_KERNEL);
	if (!ios)
		return -ENOMEM;
	for (i = 0; i < att->nr_layers; i++)
		ios[i] = &att->layers[i]->io;
	config.layers = ios;
	err = cw_device_open(&config, &att->engine, report);
	kfree(ios);
	if (err)
		return err;
	cw_device_get_info(att->engine, &att->info);
	if (!att->info.size)
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_EMPTY,
				      att->image->io.name);
	/*
	 * The index says what a block is stored in, so read-ahead would be in
	 * vain.
	 */
	if (att->info.cluster)
		cloopw_backing_expect_random(att->image);
	return 0;
}

/*
 * Four queues.
 * - workers: requests that compress or decompress go to all processors.
 * - writer: plain writes to one file go one after another. Several workers would
 *   spin for the inode's lock, and a log's records wait for those before them.
 * - streamer: a stream of plain reads of one file stays in order.
 * - local: a small request alone is probably one that a program waits for. The
 *   submitting processor serves it: it is idle otherwise, and nobody has to be
 *   woken.
 */
static int start_workers(struct cloopw_attachment *att, const char *name)
{
	att->workers = alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0,
				       name);
	if (!att->workers)
		return -ENOMEM;
	att->local = alloc_workqueue("%s-local",
				     WQ_MEM_RECLAIM | WQ_CPU_INTENSIVE |
				     WQ_PERCPU, 0, name);
	if (!att->local)
		return -ENOMEM;
	if (!att->info.cluster) {
		att->streamer = alloc_ordered_workqueue("%s-read",
							WQ_MEM_RECLAIM, name);
		if (!att->streamer)
			return -ENOMEM;
	}
	if (!att->info.writable)
		return 0;
	att->writer = alloc_ordered_workqueue("%s-write", WQ_MEM_RECLAIM, name);
	return att->writer ? 0 : -ENOMEM;
}

int cloopw_attachment_create(struct cloopw_disk *disk,
			     const struct cloopw_setup *setup,
			     struct cloopw_attachment **out,
			     struct cw_report *report)
{
	const char *name = disk->gd->disk_name;
	struct cloopw_attachment *att;
	int err;

	*out = NULL;
	att = kzalloc_obj(*att);
	if (!att)
		return -ENOMEM;
	att->flags = setup->flags;
	att->offset = setup->offset;
	att->sizelimit = setup->sizelimit;
	err = open_backings(att, disk, setup, report);
	if (err)
		goto destroy;
	err = open_engine(att, setup, report);
	if (err)
		goto destroy;
	err = start_workers(att, name);
	if (err)
		goto destroy;
	err = -ENOMEM;
	att->watch = cloopw_watch_create(disk->gd, att->engine);
	if (!att->watch)
		goto destroy;
	err = start_shrinker(att, name);
	if (err)
		goto destroy;
	*out = att;
	return 0;

destroy:
	cloopw_attachment_destroy(att);
	return err;
}

/* ---- errands: a worker runs them for a process ---- */

struct errand {
	struct work_struct work;
	struct cloopw_attachment *att;
	int (*run)(struct cloopw_attachment *att, void *arg);
	void *arg;
	int err;
};

static void errand_work(struct work_struct *work)
{
	struct errand *errand = container_of(work, struct errand, work);
	unsigned int serving = cloopw_serving_begin();

	errand->err = errand->run(errand->att, errand->arg);
	cloopw_serving_end(serving);
}

int cloopw_attachment_run(struct cloopw_attachment *att,
			  int (*run)(struct cloopw_attachment *att, void *arg),
			  void *arg)
{
	struct errand errand = { .att = att, .run = run, .arg = arg };

	INIT_WORK_ONSTACK(&errand.work, errand_work);
	queue_work(att->workers, &errand.work);
	flush_work(&errand.work);
	destroy_work_on_stack(&errand.work);
	return errand.err;
}

/* ---- a snapshot ---- */

struct layer_to_add {
	struct cw_io *io;
	struct cw_report *report;
};

static int add_layer(struct cloopw_attachment *att, void *arg)
{
	const struct layer_to_add *add = arg;

	return cw_device_snapshot(att->engine, add->io, add->report);
}

int cloopw_attachment_snapshot(struct cloopw_attachment *att,
			       struct cloopw_disk *disk, int fd, bool elsewhere,
			       struct cw_report *report)
{
	const struct cloopw_backing_request request = {
		.fd = fd,
		.role = "COW layer",
		.writable = true,
		.disk = disk->gd,
		.in_use = true,
		.elsewhere = elsewhere,
	};
	struct layer_to_add add = { .report = report };
	struct cloopw_backing *layer;
	int err;

	err = cloopw_backing_open(&request, &layer, report);
	if (err)
		return err;
	add.io = &layer->io;
	err = cloopw_attachment_run(att, add_layer, &add);
	if (err) {
		cloopw_backing_close(layer);
		return err;
	}
	cloopw_backing_set_read_only(att->top);
	att->top = layer;
	att->layers[att->nr_layers++] = layer;
	return 0;
}

/* ---- its end ---- */

static int close_engine(struct cloopw_attachment *att, void *arg)
{
	return cw_device_close(att->engine);
}

int cloopw_attachment_destroy(struct cloopw_attachment *att)
{
	u32 i;
	int err;

	if (!att)
		return 0;
	cloopw_watch_destroy(att->watch);
	shrinker_free(att->shrinker);
	if (att->writer)
		destroy_workqueue(att->writer);
	if (att->streamer)
		destroy_workqueue(att->streamer);
	if (att->local)
		destroy_workqueue(att->local);
	if (att->workers) {
		err = cloopw_attachment_run(att, close_engine, NULL);
		destroy_workqueue(att->workers);
	} else {
		err = close_engine(att, NULL);
	}
	for (i = 0; i < att->nr_layers; i++)
		cloopw_backing_close(att->layers[i]);
	cloopw_backing_close(att->image);
	kfree(att);
	return err;
}
