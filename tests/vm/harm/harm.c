// SPDX-License-Identifier: GPL-2.0
/*
 * Errors that the debug kernel must find, for tests/vm/selftest: each is a
 * module parameter's value, "insmod harm.ko what=free".
 */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static char *what = "";
module_param(what, charp, 0);

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);

static void use_after_free(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
	WRITE_ONCE(p[8], 1);
}

static void behind_the_end(void)
{
	char *p = vmalloc(100);

	OPTIMIZER_HIDE_VAR(p);
	WRITE_ONCE(p[100], 1);
	vfree(p);
}

static void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void sleep_in_atomic(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void do_nothing(struct work_struct *work)
{
}

static void free_active_work(void)
{
	struct delayed_work *work = kmalloc(sizeof(*work), GFP_KERNEL);

	INIT_DELAYED_WORK(work, do_nothing);
	schedule_delayed_work(work, 100 * HZ);
	kfree(work);
}

static void shift_too_far(void)
{
	int bits = 40;

	OPTIMIZER_HIDE_VAR(bits);
	pr_info("%d\n", 1 << bits);
}

static void add_twice(void)
{
	static LIST_HEAD(list);
	static LIST_HEAD(node);

	list_add(&node, &list);
	list_add(&node, &list);
}

static void leak(void)
{
	char *p = kmalloc(1000, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	strscpy(p, "nobody knows this any more", 1000);
}

static const struct {
	const char *name;
	void (*run)(void);
} harms[] = {
	{ "free", use_after_free },
	{ "end", behind_the_end },
	{ "order", lock_order },
	{ "atomic", sleep_in_atomic },
	{ "object", free_active_work },
	{ "shift", shift_too_far },
	{ "list", add_twice },
	{ "leak", leak },
};

static int __init harm_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(harms); i++)
		if (!strcmp(harms[i].name, what))
			harms[i].run();
	return 0;
}

static void __exit harm_exit(void)
{
}

module_init(harm_init);
module_exit(harm_exit);
MODULE_DESCRIPTION("Errors for a debug kernel to find");
MODULE_LICENSE("GPL");
