// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <linux/blkdev.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "serving.h"

struct cloopw_watch {
	struct gendisk *gd;       /* constant */
	struct cw_device *engine; /* constant */
	struct delayed_work work;
	enum cw_cow_state told;   /* the work's */
	bool told_low;            /* the work's */

	struct mutex lock;        /* guards what follows */
	struct cw_low_mark mark;
	u64 available;
};

/*
 * Freezable: a full log writes when it finds space, and nothing must change once
 * an image for hibernation was taken.
 */
static struct workqueue_struct *watchers; /* constant after init */

#define INTERVAL (2 * HZ)

/* With no lock held: the event allocates memory and wakes its listeners. */
static void tell(struct cloopw_watch *watch, u64 available)
{
	char state[32], low[24], left[48] = "CLOOPW_AVAILABLE=";
	char *env[4] = { state, low, left, NULL };

	snprintf(state, sizeof(state), "CLOOPW_STATE=%s",
		 cw_cow_state_name(watch->told));
	snprintf(low, sizeof(low), "CLOOPW_LOW_SPACE=%d", watch->told_low);
	if (available != CW_CAPACITY_UNKNOWN)
		snprintf(left, sizeof(left), "CLOOPW_AVAILABLE=%llu",
			 available);
	kobject_uevent_env(&disk_to_dev(watch->gd)->kobj, KOBJ_CHANGE, env);
}

static void look(struct cloopw_watch *watch)
{
	struct cw_cow_space space;
	u64 capacity, available;
	bool low;

	capacity = cw_device_capacity(watch->engine);
	cw_device_get_space(watch->engine, &space);
	available = cw_cow_available(&space, capacity);
	capacity = cw_cow_capacity(&space, capacity);
	mutex_lock(&watch->lock);
	watch->available = available;
	low = cw_cow_is_low(&watch->mark, capacity, available);
	mutex_unlock(&watch->lock);
	if (space.state == watch->told && low == watch->told_low)
		return;
	if (space.state == CW_COW_FULL && space.state != watch->told)
		pr_warn("%s: the COW is full, and writes fail: %s\n",
			watch->gd->disk_name, CW_COW_FULL_REMEDY);
	watch->told = space.state;
	watch->told_low = low;
	tell(watch, available);
}

static void watch_work(struct work_struct *work)
{
	struct cloopw_watch *watch = container_of(to_delayed_work(work),
						  struct cloopw_watch, work);
	unsigned int serving = cloopw_serving_begin();

	cw_device_tend(watch->engine);
	cloopw_serving_end(serving);
	look(watch);
	queue_delayed_work(watchers, &watch->work,
			   round_jiffies_relative(INTERVAL));
}

int cloopw_watch_init(void)
{
	watchers = alloc_workqueue("cloopw-watch",
				   WQ_UNBOUND | WQ_FREEZABLE | WQ_MEM_RECLAIM,
				   0);
	return watchers ? 0 : -ENOMEM;
}

void cloopw_watch_exit(void)
{
	destroy_workqueue(watchers);
}

struct cloopw_watch *cloopw_watch_create(struct gendisk *gd,
					 struct cw_device *engine)
{
	struct cloopw_watch *watch = kzalloc_obj(*watch);

	if (!watch)
		return NULL;
	mutex_init(&watch->lock);
	INIT_DELAYED_WORK(&watch->work, watch_work);
	watch->mark.percent = CW_DEFAULT_LOW_PERCENT;
	watch->available = CW_CAPACITY_UNKNOWN;
	watch->told = CW_COW_OK;
	watch->engine = engine;
	watch->gd = gd;
	return watch;
}

void cloopw_watch_start(struct cloopw_watch *watch)
{
	struct cw_cow_space space;

	cw_device_get_space(watch->engine, &space);
	if (space.state != CW_COW_READ_ONLY)
		queue_delayed_work(watchers, &watch->work, 0);
}

void cloopw_watch_destroy(struct cloopw_watch *watch)
{
	if (!watch)
		return;
	cancel_delayed_work_sync(&watch->work);
	mutex_destroy(&watch->lock);
	kfree(watch);
}

struct cw_low_mark cloopw_watch_get_mark(struct cloopw_watch *watch)
{
	struct cw_low_mark mark;

	mutex_lock(&watch->lock);
	mark = watch->mark;
	mutex_unlock(&watch->lock);
	return mark;
}

void cloopw_watch_set_mark(struct cloopw_watch *watch, struct cw_low_mark mark)
{
	mutex_lock(&watch->lock);
	watch->mark = mark;
	mutex_unlock(&watch->lock);
}

u64 cloopw_watch_available(struct cloopw_watch *watch)
{
	u64 available;

	mutex_lock(&watch->lock);
	available = watch->available;
	mutex_unlock(&watch->lock);
	return available;
}
