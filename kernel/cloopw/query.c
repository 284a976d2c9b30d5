// SPDX-License-Identifier: GPL-2.0
#include "query.h"

#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"
#include "core/codec.h"
#include "core/cow.h"
#include "core/image.h"
#include "request.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_query) == CLOOPW_QUERY_SIZE_1);

/* Appends a name, with a blank between. */
static void add_name(char *names, size_t size, const char *name)
{
	size_t len = strlen(names);

	WARN_ON_ONCE(len + 1 + strlen(name) >= size);
	scnprintf(names + len, size - len, "%s%s", len ? " " : "", name);
}

/* 0, or -EOPNOTSUPP: the kernel can only read some codecs. */
static int try_compress(const struct cw_codec *codec)
{
	void *context;
	int err;

	err = codec->create(&context, codec->default_level, CW_PAGE_SIZE);
	if (!err)
		codec->destroy(context);
	return err;
}

/* A lack of memory must not look like a codec that the module lacks. */
static int add_codecs(struct cloopw_query *query)
{
	unsigned int i;
	int err;

	for (i = 0; i < cw_codecs_count; i++) {
		if (!cw_codec_is_here(cw_codecs[i]))
			continue;
		add_name(query->codecs, sizeof(query->codecs),
			 cw_codecs[i]->name);
		err = try_compress(cw_codecs[i]);
		if (err == -EOPNOTSUPP)
			continue;
		if (err)
			return err;
		add_name(query->cow_codecs, sizeof(query->cow_codecs),
			 cw_codecs[i]->name);
	}
	return 0;
}

static int fill_names(struct cloopw_query *query)
{
	unsigned int i;

	for (i = 0; i < cw_image_formats_count; i++)
		add_name(query->image_formats, sizeof(query->image_formats),
			 cw_image_formats[i]->name);
	for (i = 0; i < cw_cow_formats_count; i++)
		add_name(query->cow_formats, sizeof(query->cow_formats),
			 cw_cow_formats[i]->name);
	return add_codecs(query);
}

int cloopw_query(void __user *arg)
{
	struct cloopw_query *query;
	u32 size;
	int err;

	err = cloopw_read_size(arg, CLOOPW_QUERY_SIZE_1, &size);
	if (err)
		return err;
	query = kzalloc_obj(*query);
	if (!query)
		return -ENOMEM;
	query->max_layers = CLOOPW_MAX_LAYERS;
	query->features = CLOOPW_FEATURES;
	strscpy(query->version, THIS_MODULE->version, sizeof(query->version));
	err = fill_names(query);
	if (!err)
		err = cloopw_write_answer(arg, query, sizeof(*query), size);
	kfree(query);
	return err;
}
