// SPDX-License-Identifier: GPL-2.0
#include "budget.h"

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "core/device.h"

#define SHARE 4 /* a quarter of the memory */

struct cw_cache_budget cloopw_budget;

/* Guarded by the lock of the module's parameters. */
static unsigned long long asked_for; /* bytes; 0: a share of the memory */
static bool ready;

static u64 limit_wanted(void)
{
	if (asked_for)
		return asked_for;
	return max_t(u64, CW_DEFAULT_CACHE_BYTES,
		     (u64)totalram_pages() * PAGE_SIZE / SHARE);
}

static int set_limit(const char *text, const struct kernel_param *param)
{
	int err = param_set_ullong(text, param);

	if (!err && ready)
		cw_cache_budget_set_limit(&cloopw_budget, limit_wanted());
	return err;
}

static int get_limit(char *text, const struct kernel_param *param)
{
	return sysfs_emit(text, "%llu\n", limit_wanted());
}

static const struct kernel_param_ops limit_ops = {
	.set = set_limit,
	.get = get_limit,
};

module_param_cb(cache_limit, &limit_ops, &asked_for, 0644);
MODULE_PARM_DESC(cache_limit, "Bytes of memory for what all devices keep decompressed (default 0: a quarter of it)");

void cloopw_budget_init(void)
{
	kernel_param_lock(THIS_MODULE);
	cw_cache_budget_init(&cloopw_budget, limit_wanted());
	ready = true;
	kernel_param_unlock(THIS_MODULE);
}

/* Nobody sets it meanwhile: the parameters are gone. */
void cloopw_budget_exit(void)
{
	cw_cache_budget_destroy(&cloopw_budget);
}

u64 cloopw_budget_limit(void)
{
	return cw_atomic64_read(&cloopw_budget.limit);
}
