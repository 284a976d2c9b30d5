// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/block/cloopwN/cloopw/. All files but state are empty while nothing is
 * attached. layers/0 is the top layer, layers/1 lies below it, and so on.
 */
#include <linux/blkdev.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uuid.h>

#include "attachment.h"
#include "disk.h"
#include "settings.h"
#include "sysfs.h"
#include "uapi/cloopw.h"

typedef ssize_t (*show_fn)(const struct cloopw_attachment *att, char *buf);

/* The disk of the directory cloopw, which lies in the disk's device. */
static struct cloopw_disk *disk_of(struct kobject *dir)
{
	return dev_to_disk(kobj_to_dev(dir->parent))->private_data;
}

/* The disk's lock keeps the attachment from being detached meanwhile. */
static ssize_t show_attached(struct kobject *dir, char *buf, show_fn show)
{
	struct cloopw_disk *disk = disk_of(dir);
	ssize_t len = 0;

	mutex_lock(&disk->lock);
	if (disk->phase == CLOOPW_ATTACHED)
		len = show(disk->attachment, buf);
	mutex_unlock(&disk->lock);
	return len;
}

/* Defines the attribute name, whose text show_name() writes. */
#define ATTACHED_ATTR(name)						\
	static ssize_t name##_show(struct kobject *dir,			\
				   struct kobj_attribute *attr,		\
				   char *buf)				\
	{								\
		return show_attached(dir, buf, show_##name);		\
	}								\
	static struct kobj_attribute name##_attr = __ATTR_RO(name)

/* The same for one number. */
#define NUMBER_ATTR(name, value)					\
	static ssize_t show_##name(const struct cloopw_attachment *att,	\
				   char *buf)				\
	{								\
		return sysfs_emit(buf, "%llu\n", (u64)(value));		\
	}								\
	ATTACHED_ATTR(name)

/* A setting of the attachment; store returns 0 or -errno. */
static ssize_t store_attached(struct kobject *dir, const char *buf,
			      size_t count,
			      int (*store)(struct cloopw_attachment *att,
					   const char *text))
{
	struct cloopw_disk *disk = disk_of(dir);
	int err = -ENXIO;

	mutex_lock(&disk->lock);
	if (disk->phase == CLOOPW_ATTACHED)
		err = store(disk->attachment, buf);
	mutex_unlock(&disk->lock);
	return err ? err : count;
}

/* Defines the attribute name, which show_name() and store_name() serve. */
#define SETTABLE_ATTR(name)						\
	static ssize_t name##_show(struct kobject *dir,			\
				   struct kobj_attribute *attr,		\
				   char *buf)				\
	{								\
		return show_attached(dir, buf, show_##name);		\
	}								\
	static ssize_t name##_store(struct kobject *dir,		\
				    struct kobj_attribute *attr,	\
				    const char *buf, size_t count)	\
	{								\
		return store_attached(dir, buf, count, store_##name);	\
	}								\
	static struct kobj_attribute name##_attr = __ATTR_RW(name)

static struct cw_device_stats stats_of(const struct cloopw_attachment *att)
{
	struct cw_device_stats stats;

	cw_device_get_stats(att->engine, &stats);
	return stats;
}

static struct cw_cache_stats cache_of(const struct cloopw_attachment *att)
{
	struct cw_cache_stats stats;

	cw_cache_get_stats(cw_device_cache(att->engine), &stats);
	return stats;
}

/* ---- the image ---- */

static ssize_t show_image(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%s%s\n", att->image->io.name,
			  cloopw_backing_mark(&att->image->io));
}
ATTACHED_ATTR(image);

static ssize_t show_image_format(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%s\n", att->info.image->format->name);
}
ATTACHED_ATTR(image_format);

static ssize_t show_label(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%s\n", att->info.image->label);
}
ATTACHED_ATTR(label);

static ssize_t show_uuid(const struct cloopw_attachment *att, char *buf)
{
	const u8 *uuid = att->info.image->uuid;

	if (!memchr_inv(uuid, 0, CW_UUID_LEN))
		return sysfs_emit(buf, "\n");
	return sysfs_emit(buf, "%pUb\n", uuid);
}
ATTACHED_ATTR(uuid);

/* Names of the codecs that occur, in one line. */
static ssize_t show_codecs(const struct cloopw_attachment *att, char *buf)
{
	u32 codecs = att->info.image->codecs;
	unsigned int id;
	int len = 0;

	for (id = 0; id < CW_CODEC_IDS; id++) {
		const struct cw_codec *codec = cw_codec_by_id(id);

		if (codec && codecs & CW_CODEC_BIT(id))
			len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "",
					     codec->name);
	}
	return len + sysfs_emit_at(buf, len, "\n");
}
ATTACHED_ATTR(codecs);

static ssize_t show_quotient(char *buf, u64 whole, u64 part)
{
	if (!part)
		return sysfs_emit(buf, "\n");
	return sysfs_emit(buf, "%llu.%02llu\n", whole / part,
			  whole % part * 100 / part);
}

/* Content bytes for each stored byte. */
static ssize_t show_ratio(const struct cloopw_attachment *att, char *buf)
{
	const struct cw_image *image = att->info.image;

	return show_quotient(buf, image->size, image->stored_bytes);
}
ATTACHED_ATTR(ratio);

NUMBER_ATTR(offset, att->offset);
NUMBER_ATTR(sizelimit, att->sizelimit);
NUMBER_ATTR(size, att->info.image->size);
NUMBER_ATTR(block_size, att->info.image->block_size);
NUMBER_ATTR(stored_bytes, att->info.image->stored_bytes);

NUMBER_ATTR(image_ino, att->image->ino);
NUMBER_ATTR(partscan, !!(att->flags & CLOOPW_F_PARTSCAN));

static ssize_t show_image_dev(const struct cloopw_attachment *att, char *buf)
{
	dev_t dev = huge_decode_dev(att->image->dev);

	return sysfs_emit(buf, "%u:%u\n", MAJOR(dev), MINOR(dev));
}
ATTACHED_ATTR(image_dev);

/* ---- how the image is read ---- */

static enum cloopw_direct_mode direct_of(const struct cloopw_attachment *att)
{
	return cloopw_backing_direct_mode(att->image);
}

NUMBER_ATTR(drop_behind, direct_of(att) == CLOOPW_DIRECT_DROP);

static ssize_t show_dio(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%d\n", direct_of(att) == CLOOPW_DIRECT_ON);
}

static ssize_t dio_show(struct kobject *dir, struct kobj_attribute *attr,
			char *buf)
{
	return show_attached(dir, buf, show_dio);
}

static ssize_t dio_store(struct kobject *dir, struct kobj_attribute *attr,
			 const char *buf, size_t count)
{
	enum cloopw_direct_mode mode;
	bool wanted;
	int err = kstrtobool(buf, &wanted);

	if (!err)
		err = cloopw_set_direct(disk_of(dir), wanted,
					&mode);
	return err ? err : count;
}

static struct kobj_attribute dio_attr = __ATTR_RW(dio);

/* ---- the COW layers ---- */

NUMBER_ATTR(cow_live_bytes, stats_of(att).cow.live_bytes);
NUMBER_ATTR(cow_dead_bytes, stats_of(att).cow.dead_bytes);
NUMBER_ATTR(cow_total_bytes, stats_of(att).cow.total_bytes);

/* How many times smaller it is stored than written. */
static ssize_t show_cow_ratio(const struct cloopw_attachment *att, char *buf)
{
	struct cw_device_stats stats = stats_of(att);

	return show_quotient(buf, stats.cow.plain_bytes, stats.cow.live_bytes);
}
ATTACHED_ATTR(cow_ratio);

static struct cw_cow_space space_of(const struct cloopw_attachment *att)
{
	struct cw_cow_space space;

	cw_device_get_space(att->engine, &space);
	return space;
}

static ssize_t show_cow_limit(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%llu\n", space_of(att).limit);
}

static ssize_t cow_limit_show(struct kobject *dir, struct kobj_attribute *attr,
			      char *buf)
{
	return show_attached(dir, buf, show_cow_limit);
}

static ssize_t cow_limit_store(struct kobject *dir, struct kobj_attribute *attr,
			       const char *buf, size_t count)
{
	u64 limit;
	int err = kstrtou64(buf, 0, &limit);

	if (!err)
		err = cloopw_set_limit(disk_of(dir), limit);
	return err ? err : count;
}

static struct kobj_attribute cow_limit_attr = __ATTR_RW(cow_limit);

/* Empty when it cannot be told. */
static ssize_t show_cow_available(const struct cloopw_attachment *att,
				  char *buf)
{
	u64 available = cloopw_watch_available(att->watch);

	if (available == CW_CAPACITY_UNKNOWN)
		return sysfs_emit(buf, "\n");
	return sysfs_emit(buf, "%llu\n", available);
}
ATTACHED_ATTR(cow_available);

static ssize_t show_low_space(const struct cloopw_attachment *att, char *buf)
{
	struct cw_low_mark mark = cloopw_watch_get_mark(att->watch);

	if (mark.percent)
		return sysfs_emit(buf, "%u%%\n", mark.percent);
	return sysfs_emit(buf, "%llu\n", mark.bytes);
}

/* Bytes, or a number and a percent sign; 0: no mark. */
static int store_low_space(struct cloopw_attachment *att, const char *text)
{
	struct cw_low_mark mark = {};
	char number[24];
	size_t len;
	int err;

	if (strscpy(number, text, sizeof(number)) < 0)
		return -EINVAL;
	len = strcspn(number, "%\n");
	if (number[len] != '%') {
		err = kstrtou64(number, 0, &mark.bytes);
	} else {
		if (strcmp(number + len + 1, "\n") && number[len + 1])
			return -EINVAL;
		number[len] = 0;
		err = kstrtou32(number, 10, &mark.percent);
		if (!err && mark.percent > 100)
			err = -EINVAL;
	}
	if (!err)
		cloopw_watch_set_mark(att->watch, mark);
	return err;
}
SETTABLE_ATTR(low_space);

/* ---- how it does ---- */

NUMBER_ATTR(read_only, !att->info.writable);
NUMBER_ATTR(read_errors, stats_of(att).read_errors);
NUMBER_ATTR(write_errors, stats_of(att).write_errors);
NUMBER_ATTR(cache_hits, cache_of(att).hits);
NUMBER_ATTR(cache_misses, cache_of(att).misses);
NUMBER_ATTR(cache_bytes, cache_of(att).bytes);

static ssize_t show_cache_limit(const struct cloopw_attachment *att, char *buf)
{
	return sysfs_emit(buf, "%llu\n", cache_of(att).limit);
}

static int store_cache_limit(struct cloopw_attachment *att, const char *text)
{
	u64 limit;
	int err = kstrtou64(text, 0, &limit);

	if (!err)
		cw_cache_set_limit(cw_device_cache(att->engine), limit);
	return err;
}
SETTABLE_ATTR(cache_limit);

static ssize_t state_show(struct kobject *dir, struct kobj_attribute *attr,
			  char *buf)
{
	struct cloopw_disk *disk = disk_of(dir);
	const char *name = "idle";

	mutex_lock(&disk->lock);
	if (disk->phase == CLOOPW_ATTACHED)
		name = cw_cow_state_name(space_of(disk->attachment).state);
	mutex_unlock(&disk->lock);
	return sysfs_emit(buf, "%s\n", name);
}

static struct kobj_attribute state_attr = __ATTR_RO(state);

static struct attribute *disk_attrs[] = {
	&image_attr.attr,
	&image_format_attr.attr,
	&label_attr.attr,
	&uuid_attr.attr,
	&codecs_attr.attr,
	&ratio_attr.attr,
	&image_dev_attr.attr,
	&image_ino_attr.attr,
	&partscan_attr.attr,
	&dio_attr.attr,
	&drop_behind_attr.attr,
	&offset_attr.attr,
	&sizelimit_attr.attr,
	&size_attr.attr,
	&block_size_attr.attr,
	&stored_bytes_attr.attr,
	&cow_live_bytes_attr.attr,
	&cow_dead_bytes_attr.attr,
	&cow_total_bytes_attr.attr,
	&cow_ratio_attr.attr,
	&cow_limit_attr.attr,
	&cow_available_attr.attr,
	&low_space_attr.attr,
	&read_only_attr.attr,
	&read_errors_attr.attr,
	&write_errors_attr.attr,
	&cache_hits_attr.attr,
	&cache_misses_attr.attr,
	&cache_bytes_attr.attr,
	&cache_limit_attr.attr,
	&state_attr.attr,
	NULL,
};

static const struct attribute_group disk_group = {
	.attrs = disk_attrs,
};

/* ---- a directory a layer ---- */

/* Its name is its number, 0 for the top. NULL: there is no such layer now. */
static const struct cw_cow *layer_of(const struct kobject *dir,
				     const struct cloopw_disk *disk)
{
	const struct cw_layers *layers;
	unsigned int i;

	if (disk->phase != CLOOPW_ATTACHED || kstrtouint(dir->name, 10, &i))
		return NULL;
	layers = cw_device_layers(disk->attachment->engine);
	return i < layers->nr ? layers->layer[i] : NULL;
}

static ssize_t show_layer(struct kobject *dir, char *buf,
			  ssize_t (*show)(const struct cw_cow *layer, char *buf))
{
	/* layers, cloopw */
	struct cloopw_disk *disk = disk_of(dir->parent->parent);
	const struct cw_cow *layer;
	ssize_t len = 0;

	mutex_lock(&disk->lock);
	layer = layer_of(dir, disk);
	if (layer)
		len = show(layer, buf);
	mutex_unlock(&disk->lock);
	return len;
}

static ssize_t show_path(const struct cw_cow *layer, char *buf)
{
	return sysfs_emit(buf, "%s%s\n", layer->io->name,
			  cloopw_backing_mark(layer->io));
}

static ssize_t path_show(struct kobject *dir, struct kobj_attribute *attr,
			 char *buf)
{
	return show_layer(dir, buf, show_path);
}

static struct kobj_attribute path_attr = __ATTR_RO(path);

static ssize_t show_format(const struct cw_cow *layer, char *buf)
{
	return sysfs_emit(buf, "%s\n", layer->format->name);
}

static ssize_t format_show(struct kobject *dir, struct kobj_attribute *attr,
			   char *buf)
{
	return show_layer(dir, buf, show_format);
}

static struct kobj_attribute format_attr = __ATTR_RO(format);

static struct attribute *layer_attrs[] = {
	&path_attr.attr,
	&format_attr.attr,
	NULL,
};

static const struct attribute_group layer_group = {
	.attrs = layer_attrs,
};

struct cloopw_sysfs {
	struct kobject *dir;
	struct kobject *layers;
	u32 nr_layers;
	struct kobject *layer[CW_MAX_LAYERS];
};

/* NULL is fine. */
static void remove_dir(struct kobject *dir)
{
	if (!dir)
		return;
	kobject_del(dir);
	kobject_put(dir);
}

static struct kobject *add_dir(const char *name, struct kobject *parent,
			       const struct attribute_group *group)
{
	struct kobject *dir = kobject_create_and_add(name, parent);

	if (dir && group && sysfs_create_group(dir, group)) {
		remove_dir(dir);
		return NULL;
	}
	return dir;
}

int cloopw_sysfs_set_layers(struct cloopw_sysfs *sysfs, u32 nr)
{
	char name[12];

	if (!sysfs)
		return 0;
	while (sysfs->nr_layers > nr)
		remove_dir(sysfs->layer[--sysfs->nr_layers]);
	while (sysfs->nr_layers < nr) {
		struct kobject *dir;

		snprintf(name, sizeof(name), "%u", sysfs->nr_layers);
		dir = add_dir(name, sysfs->layers, &layer_group);
		if (!dir)
			return -ENOMEM;
		sysfs->layer[sysfs->nr_layers++] = dir;
	}
	return 0;
}

struct cloopw_sysfs *cloopw_sysfs_add(struct gendisk *gd)
{
	struct cloopw_sysfs *sysfs = kzalloc_obj(*sysfs);

	if (!sysfs)
		return NULL;
	sysfs->dir = add_dir("cloopw", &disk_to_dev(gd)->kobj, &disk_group);
	if (sysfs->dir)
		sysfs->layers = add_dir("layers", sysfs->dir, NULL);
	if (!sysfs->layers) {
		cloopw_sysfs_remove(sysfs);
		return NULL;
	}
	return sysfs;
}

void cloopw_sysfs_remove(struct cloopw_sysfs *sysfs)
{
	if (!sysfs)
		return;
	cloopw_sysfs_set_layers(sysfs, 0);
	remove_dir(sysfs->layers);
	remove_dir(sysfs->dir);
	kfree(sysfs);
}
