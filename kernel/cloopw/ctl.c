// SPDX-License-Identifier: GPL-2.0
/* The control device, and which disks there are. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "core/report.h"
#include "disk.h"
#include "query.h"
#include "uapi/cloopw.h"

static DEFINE_XARRAY_ALLOC(disks); /* by number; ctl_lock */
static DEFINE_MUTEX(ctl_lock);

/* number -1: any. Returns the number or -errno. ctl_lock is held. */
static int add_disk_numbered(int number)
{
	struct xa_limit range = number < 0 ? XA_LIMIT(0, MINORMASK) :
					     XA_LIMIT(number, number);
	struct cloopw_disk *disk;
	u32 got;
	int err = xa_alloc(&disks, &got, NULL, range, GFP_KERNEL);

	if (err == -EBUSY)
		return number < 0 ? -ENOSPC : -EEXIST;
	if (err)
		return err;
	disk = cloopw_disk_add(got);
	if (IS_ERR(disk)) {
		xa_erase(&disks, got);
		return PTR_ERR(disk);
	}
	/* Its place is reserved, so that needs no memory. */
	xa_store(&disks, got, disk, GFP_KERNEL);
	return got;
}

static int ctl_add(int number)
{
	if (number < -1 || number > (int)MINORMASK)
		return -EINVAL;
	return add_disk_numbered(number);
}

static int ctl_remove(int number)
{
	struct cloopw_disk *disk;
	int err;

	if (number < 0)
		return -EINVAL;
	disk = xa_load(&disks, number);
	if (!disk)
		return -ENODEV;
	err = cloopw_disk_remove(disk);
	if (err)
		return err;
	xa_erase(&disks, number);
	return number;
}

static int ctl_get_free(void)
{
	struct cloopw_disk *disk;
	unsigned long number;

	xa_for_each(&disks, number, disk)
		if (cloopw_disk_is_idle(disk))
			return number;
	return add_disk_numbered(-1);
}

static long ctl_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == CLOOPW_CTL_QUERY)
		return cloopw_query((void __user *)arg);
	if (mutex_lock_killable(&ctl_lock))
		return -EINTR;
	switch (cmd) {
	case CLOOPW_CTL_ADD:
		ret = ctl_add(arg);
		break;
	case CLOOPW_CTL_REMOVE:
		ret = ctl_remove(arg);
		break;
	case CLOOPW_CTL_GET_FREE:
		ret = ctl_get_free();
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&ctl_lock);
	return ret;
}

#ifdef CONFIG_COMPAT
/* Most arguments are numbers, and -1 must stay that. */
static long ctl_compat_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	if (cmd == CLOOPW_CTL_QUERY)
		arg = (unsigned long)compat_ptr(arg);
	return ctl_ioctl(file, cmd, arg);
}
#endif

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = ctl_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = ctl_compat_ioctl,
#endif
	.llseek = noop_llseek,
};

static struct miscdevice ctl_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = CLOOPW_CONTROL_NAME,
	.fops = &ctl_fops,
	.mode = 0600,
};

/*
 * Registering the control device can fail, so it comes first: an existing disk
 * may be open, and could not be removed again. A disk that cannot be made is no
 * error.
 */
int cloopw_ctl_init(unsigned int devices)
{
	unsigned int i;
	int err;

	if (devices > MINORMASK + 1)
		return -EINVAL;
	err = misc_register(&ctl_device);
	if (err)
		return err;
	mutex_lock(&ctl_lock);
	for (i = 0; i < devices && err >= 0; i++)
		err = add_disk_numbered(i);
	mutex_unlock(&ctl_lock);
	if (err < 0 && err != -EEXIST)
		pr_warn("device %u of %u could not be made: %s\n", i,
			devices, cw_error_text(err));
	return 0;
}

/* Nobody has one open, or the module could not go. */
void cloopw_ctl_exit(void)
{
	struct cloopw_disk *disk;
	unsigned long number;

	misc_deregister(&ctl_device);
	xa_for_each(&disks, number, disk)
		WARN_ON_ONCE(cloopw_disk_remove(disk));
	xa_destroy(&disks);
}
