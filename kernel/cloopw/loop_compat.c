// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "loop_compat.h"

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/delay.h>
#include <linux/loop.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attach.h"
#include "compat.h"
#include "change.h"
#include "disk.h"
#include "request.h"
#include "settings.h"
#include "uapi/cloopw.h"

#define CLEAR_STEP_MS 50
#define CLEAR_STEPS 20
/* Allowed flags; the attachment is always read-only. */
#define KNOWN_FLAGS \
	(LO_FLAGS_READ_ONLY | LO_FLAGS_PARTSCAN | LO_FLAGS_DIRECT_IO)

/* On the heap: too large for the stack below file systems. */
struct loop_request {
	union {
		struct loop_config config;
		struct loop_info64 info;
	};
	struct cloopw_setup setup;
	struct cw_report report;
};

static int finish(struct cloopw_disk *disk, struct loop_request *request,
		  int err)
{
	if (err && request->report.text[0])
		pr_info_ratelimited("%s: %s\n", disk->gd->disk_name,
				    request->report.text);
	kfree(request);
	return err;
}

/* ---- attaching ---- */

static int decode_info(const struct loop_info64 *info,
		       struct cloopw_setup *setup, struct cw_report *report)
{
	if (info->lo_encrypt_type)
		return cw_refuse(report, -EINVAL, CLOOPW_R_UNSUPPORTED,
				 "there is no encryption: use dm-crypt");
	if (info->lo_flags & LO_FLAGS_AUTOCLEAR)
		return cw_refuse(report, -EINVAL, CLOOPW_R_UNSUPPORTED,
				 "it cannot be detached by itself: attach it without autoclear, and mount the device");
	if (info->lo_flags & ~KNOWN_FLAGS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x",
				 info->lo_flags & ~KNOWN_FLAGS);
	setup->flags = CLOOPW_F_READ_ONLY;
	if (info->lo_flags & LO_FLAGS_PARTSCAN)
		setup->flags |= CLOOPW_F_PARTSCAN;
	if (info->lo_flags & LO_FLAGS_DIRECT_IO)
		setup->flags |= CLOOPW_F_DIRECT_IO;
	setup->offset = info->lo_offset;
	setup->sizelimit = info->lo_sizelimit;
	return cloopw_check_window(setup->offset, setup->sizelimit, report);
}

static int set_fd(struct cloopw_disk *disk, bool exclusive, unsigned int fd)
{
	struct loop_request *request = kzalloc_obj(*request);

	if (!request)
		return -ENOMEM;
	request->setup.flags = CLOOPW_F_READ_ONLY;
	request->setup.image_fd = fd;
	return finish(disk, request,
		      cloopw_attach(disk, exclusive, &request->setup,
				    &request->report));
}

static int decode_config(struct loop_request *request)
{
	const struct loop_config *config = &request->config;

	if (memchr_inv(config->__reserved, 0, sizeof(config->__reserved)))
		return cw_refuse(&request->report, -EINVAL,
				 CLOOPW_R_BAD_REQUEST,
				 "a reserved field is not zero");
	if (config->block_size && config->block_size != SECTOR_SIZE)
		return cw_refuse(&request->report, -EINVAL,
				 CLOOPW_R_UNSUPPORTED,
				 "sectors have %u bytes, not %u", SECTOR_SIZE,
				 config->block_size);
	request->setup.image_fd = config->fd;
	return decode_info(&config->info, &request->setup, &request->report);
}

static int configure(struct cloopw_disk *disk, bool exclusive,
		     const struct loop_config __user *arg)
{
	struct loop_request *request = kzalloc_obj(*request);
	int err;

	if (!request)
		return -ENOMEM;
	if (copy_from_user(&request->config, arg, sizeof(request->config)))
		return finish(disk, request, -EFAULT);
	err = decode_config(request);
	if (!err)
		err = cloopw_attach(disk, exclusive, &request->setup,
				    &request->report);
	return finish(disk, request, err);
}

/*
 * losetup does not try again while udev or another program looks at the device.
 * So the driver does, like cloopwsetup.
 */
static int clear(struct cloopw_disk *disk)
{
	unsigned int i;
	int err;

	for (i = 0; i <= CLEAR_STEPS; i++) {
		if (i && msleep_interruptible(CLEAR_STEP_MS))
			return -EINTR;
		err = cloopw_clear(disk);
		if (err != -EBUSY)
			break;
	}
	return err;
}

/* ---- status ---- */

/* A name that is too long ends in a star, where losetup looks for one. */
static void fill_name(u8 *field, const char *name)
{
	if (strscpy(field, name, LO_NAME_SIZE) < 0)
		field[LO_NAME_SIZE - 2] = '*';
}

static void fill_info(const struct cloopw_disk *disk, struct loop_info64 *info)
{
	const struct cloopw_attachment *att = disk->attachment;
	const struct cloopw_backing *image = att->image;

	info->lo_device = image->dev;
	info->lo_inode = image->ino;
	info->lo_rdevice = image->rdev ? image->rdev : image->dev;
	info->lo_offset = att->offset;
	info->lo_sizelimit = att->sizelimit;
	info->lo_number = disk->number;
	if (!att->info.writable)
		info->lo_flags |= LO_FLAGS_READ_ONLY;
	if (att->flags & CLOOPW_F_PARTSCAN)
		info->lo_flags |= LO_FLAGS_PARTSCAN;
	if (cloopw_backing_direct_mode(image) == CLOOPW_DIRECT_ON)
		info->lo_flags |= LO_FLAGS_DIRECT_IO;
	fill_name(info->lo_file_name, image->io.name);
}

static int read_info(struct cloopw_disk *disk, struct loop_info64 *info)
{
	int err = -ENXIO;

	memset(info, 0, sizeof(*info));
	if (mutex_lock_killable(&disk->lock))
		return -EINTR;
	if (disk->phase == CLOOPW_ATTACHED) {
		fill_info(disk, info);
		err = 0;
	}
	mutex_unlock(&disk->lock);
	return err;
}

static int get_status64(struct cloopw_disk *disk,
			struct loop_info64 __user *arg)
{
	struct loop_info64 info;
	int err = read_info(disk, &info);

	if (err)
		return err;
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* The structure of 1993, with fields as wide as the caller's words. */
#define COPY_OLD_INFO(old, info)					\
	do {								\
		typeof(old) to = (old);					\
		const struct loop_info64 *from = (info);		\
									\
		to->lo_number = from->lo_number;			\
		to->lo_device = from->lo_device;			\
		to->lo_inode = from->lo_inode;				\
		to->lo_rdevice = from->lo_rdevice;			\
		to->lo_offset = from->lo_offset;			\
		to->lo_flags = from->lo_flags;				\
		memcpy(to->lo_name, from->lo_file_name, LO_NAME_SIZE);	\
	} while (0)

#define OLD_INFO_FITS(old, info)					\
({									\
	typeof(old) to = (old);						\
	const struct loop_info64 *from = (info);			\
									\
	to->lo_device == from->lo_device &&				\
	to->lo_inode == from->lo_inode &&				\
	to->lo_rdevice == from->lo_rdevice &&				\
	to->lo_offset >= 0 && to->lo_offset == from->lo_offset;		\
})

#ifdef CONFIG_COMPAT
struct compat_loop_info {
	compat_int_t lo_number;
	compat_dev_t lo_device;
	compat_ulong_t lo_inode;
	compat_dev_t lo_rdevice;
	compat_int_t lo_offset;
	compat_int_t lo_encrypt_type;
	compat_int_t lo_encrypt_key_size;
	compat_int_t lo_flags;
	char lo_name[LO_NAME_SIZE];
	unsigned char lo_encrypt_key[LO_KEY_SIZE];
	compat_ulong_t lo_init[2];
	char reserved[4];
};

static int put_compat_info(const struct loop_info64 *info, void __user *arg)
{
	struct compat_loop_info old = {};

	COPY_OLD_INFO(&old, info);
	if (!OLD_INFO_FITS(&old, info))
		return -EOVERFLOW;
	return copy_to_user(arg, &old, sizeof(old)) ? -EFAULT : 0;
}
#else
static int put_compat_info(const struct loop_info64 *info, void __user *arg)
{
	return -ENOTTY;
}
#endif

static int get_status(struct cloopw_disk *disk, void __user *arg)
{
	struct loop_info old = {};
	struct loop_info64 info;
	int err = read_info(disk, &info);

	if (err)
		return err;
	if (in_compat_syscall())
		return put_compat_info(&info, arg);
	COPY_OLD_INFO(&old, &info);
	if (!OLD_INFO_FITS(&old, &info))
		return -EOVERFLOW;
	return copy_to_user(arg, &old, sizeof(old)) ? -EFAULT : 0;
}

/* ---- changes ---- */

/*
 * Known partitions stay, and direct I/O has an ioctl of its own. A change of
 * nothing is always possible.
 */
static int change(struct cloopw_disk *disk, struct loop_request *request)
{
	struct cloopw_setup *setup = &request->setup;
	struct loop_info64 now;
	int err;

	err = decode_info(&request->info, setup, &request->report);
	if (!err)
		err = read_info(disk, &now);
	if (err)
		return err;
	setup->flags &= ~CLOOPW_F_DIRECT_IO;
	if (now.lo_flags & LO_FLAGS_DIRECT_IO)
		setup->flags |= CLOOPW_F_DIRECT_IO;
	if (setup->offset == now.lo_offset &&
	    setup->sizelimit == now.lo_sizelimit &&
	    !(setup->flags & CLOOPW_F_PARTSCAN &&
	      !(now.lo_flags & LO_FLAGS_PARTSCAN)))
		return 0;
	if (now.lo_flags & LO_FLAGS_PARTSCAN)
		setup->flags |= CLOOPW_F_PARTSCAN;
	return cloopw_reattach(disk, setup, &request->report);
}

static int set_status64(struct cloopw_disk *disk,
			const struct loop_info64 __user *arg)
{
	struct loop_request *request = kzalloc_obj(*request);

	if (!request)
		return -ENOMEM;
	if (copy_from_user(&request->info, arg, sizeof(request->info)))
		return finish(disk, request, -EFAULT);
	return finish(disk, request, change(disk, request));
}

/* Fields of the old structure that count, as it has them. */
#define TAKE_OLD_INFO(info, old)					\
	do {								\
		struct loop_info64 *to = (info);			\
		typeof(old) from = (old);				\
									\
		to->lo_offset = from->lo_offset;			\
		to->lo_encrypt_type = from->lo_encrypt_type;		\
		to->lo_flags = from->lo_flags;				\
	} while (0)

#ifdef CONFIG_COMPAT
static int take_compat_info(struct loop_info64 *info, const void __user *arg)
{
	struct compat_loop_info old;

	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	TAKE_OLD_INFO(info, &old);
	return 0;
}
#else
static int take_compat_info(struct loop_info64 *info, const void __user *arg)
{
	return -ENOTTY;
}
#endif

static int take_old_info(struct loop_info64 *info, const void __user *arg)
{
	struct loop_info old;

	if (in_compat_syscall())
		return take_compat_info(info, arg);
	if (copy_from_user(&old, arg, sizeof(old)))
		return -EFAULT;
	TAKE_OLD_INFO(info, &old);
	return 0;
}

static int set_status(struct cloopw_disk *disk, const void __user *arg)
{
	struct loop_request *request = kzalloc_obj(*request);
	int err;

	if (!request)
		return -ENOMEM;
	err = take_old_info(&request->info, arg);
	if (!err)
		err = change(disk, request);
	return finish(disk, request, err);
}

static int set_capacity_again(struct cloopw_disk *disk)
{
	struct loop_request *request = kzalloc_obj(*request);
	u64 size = 0;

	if (!request)
		return -ENOMEM;
	return finish(disk, request,
		      cloopw_resize(disk, &size, &request->report));
}

/* Like loop: an error when the file has no direct I/O. */
static int set_direct_io(struct cloopw_disk *disk, bool wanted)
{
	enum cloopw_direct_mode mode;
	int err = cloopw_set_direct(disk, wanted, &mode);

	if (err || !wanted || mode == CLOOPW_DIRECT_ON)
		return err;
	cloopw_set_direct(disk, false, &mode);
	return -EINVAL;
}

/* ---- the door ---- */

bool cloopw_is_loop_ioctl(unsigned int cmd)
{
	return cmd >= LOOP_SET_FD && cmd <= LOOP_CONFIGURE;
}

int cloopw_loop_ioctl(struct cloopw_disk *disk, bool exclusive,
		      unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;

	if (cmd == LOOP_GET_STATUS)
		return get_status(disk, user);
	if (cmd == LOOP_GET_STATUS64)
		return get_status64(disk, user);
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case LOOP_SET_FD:
		return set_fd(disk, exclusive, arg);
	case LOOP_CONFIGURE:
		return configure(disk, exclusive, user);
	case LOOP_CLR_FD:
		return clear(disk);
	case LOOP_SET_STATUS:
		return set_status(disk, user);
	case LOOP_SET_STATUS64:
		return set_status64(disk, user);
	case LOOP_SET_CAPACITY:
		return set_capacity_again(disk);
	case LOOP_SET_DIRECT_IO:
		return set_direct_io(disk, arg);
	case LOOP_SET_BLOCK_SIZE:
		return arg == SECTOR_SIZE ? 0 : -EINVAL;
	default:
		return -ENOTTY;
	}
}
