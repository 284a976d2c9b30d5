// SPDX-License-Identifier: GPL-2.0
#include "layers.h"

/* ---- opening ---- */

/* The base for a layer over this one. */
static struct cw_cow_base base_over(const struct cw_cow *cow)
{
	struct cw_cow_base base = {
		.size = cow->size,
		.mtime = cow->io->mtime,
		.name = cow->io->name,
		.is_layer = true,
	};

	memcpy(base.uuid, cow->uuid, CW_UUID_LEN);
	return base;
}

/* A layer that is not frozen may have changed after another was put over it. */
static int check_lower(const struct cw_cow *cow, struct cw_report *report)
{
	if (!cow->format->freeze || cow->frozen)
		return 0;
	return cw_refuse_file(report, -EINVAL, CLOOPW_R_NOT_FROZEN,
			      cow->io->name);
}

/*
 * Opens from the bottom up, because each layer is checked against the one
 * below.
 */
static int open_all(struct cw_layers *layers, struct cw_io *const *ios, u32 nr,
		    bool writable, struct cw_cache *cache,
		    const struct cw_cow_base *image, struct cw_report *report)
{
	struct cw_cow_base base = *image;
	u32 i;
	int err;

	layers->nr = nr;
	for (i = nr; i-- > 0;) {
		err = cw_cow_open(ios[i], cache, writable && i == 0, &base,
				  &layers->layer[i], report);
		if (!err && i > 0)
			err = check_lower(layers->layer[i], report);
		if (err)
			return err;
		base = base_over(layers->layer[i]);
	}
	return 0;
}

int cw_layers_open(struct cw_io *const *ios, u32 nr, bool writable,
		   struct cw_cache *cache, const struct cw_cow_base *base,
		   struct cw_layers **out, struct cw_report *report)
{
	struct cw_layers *layers = cw_alloc(sizeof(*layers));
	int err;

	*out = NULL;
	if (!layers)
		return -ENOMEM;
	err = open_all(layers, ios, nr, writable, cache, base, report);
	if (err) {
		cw_layers_close(layers);
		return err;
	}
	*out = layers;
	return 0;
}

void cw_layers_close(struct cw_layers *layers)
{
	u32 i;

	if (!layers)
		return;
	for (i = 0; i < layers->nr; i++)
		cw_cow_close(layers->layer[i]);
	while (layers) {
		struct cw_layers *before = layers->before;

		cw_free(layers);
		layers = before;
	}
}

bool cw_layers_reach(const struct cw_layers *layers, u32 i, u64 off, u64 *n)
{
	u64 size;

	if (!i)
		return true;
	size = layers->layer[i]->size;
	if (off >= size)
		return false;
	*n = cw_min(*n, size - off);
	return true;
}

/* ---- one more ---- */

static int check_top(const struct cw_layers *layers, struct cw_report *report)
{
	const struct cw_cow *top = layers->nr ? layers->layer[0] : NULL;

	if (!top || !top->writable)
		return cw_refuse(report, -EROFS, CLOOPW_R_READ_ONLY,
				 "the device is read-only, so it has nothing to be frozen");
	if (!top->format->freeze)
		return cw_refuse(report, -EOPNOTSUPP, CLOOPW_R_NOT_FREEZABLE,
				 "%s: a COW file of format %s cannot be frozen",
				 top->io->name, top->format->name);
	if (layers->nr == CW_MAX_LAYERS)
		return cw_refuse(report, -E2BIG, CLOOPW_R_TOO_MANY_LAYERS,
				 "%s: would be layer %u, there may be %u",
				 top->io->name, layers->nr + 1, CW_MAX_LAYERS);
	return 0;
}

static int check_new(const struct cw_cow_identity *id, const char *name,
		     struct cw_report *report)
{
	static const u8 none[CW_UUID_LEN];

	if (!id->over_layer || !memcmp(id->below_uuid, none, CW_UUID_LEN))
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_NOT_A_LAYER,
				      name);
	if (!id->unused)
		return cw_refuse_file(report, -EINVAL, CLOOPW_R_USED_LAYER,
				      name);
	return 0;
}

/* The new layer is checked against the UUID that the present top will get. */
static int open_new(const struct cw_cow *top, struct cw_io *io,
		    struct cw_cache *cache, struct cw_cow **out, u8 *below,
		    struct cw_report *report)
{
	struct cw_cow_identity *id = cw_alloc(sizeof(*id));
	struct cw_cow_base base = base_over(top);
	int err;

	*out = NULL;
	if (!id)
		return -ENOMEM;
	err = cw_cow_identify(io, id, report);
	if (!err)
		err = check_new(id, io->name, report);
	if (!err) {
		memcpy(below, id->below_uuid, CW_UUID_LEN);
		memcpy(base.uuid, below, CW_UUID_LEN);
		err = cw_cow_open(io, cache, true, &base, out, report);
	}
	cw_free(id);
	return err;
}

int cw_layers_add(struct cw_layers *layers, struct cw_io *io,
		  struct cw_cache *cache, struct cw_layers **out, u8 *below,
		  struct cw_report *report)
{
	struct cw_layers *added;
	int err;

	*out = NULL;
	err = check_top(layers, report);
	if (err)
		return err;
	added = cw_alloc(sizeof(*added));
	if (!added)
		return -ENOMEM;
	err = open_new(layers->layer[0], io, cache, &added->layer[0], below,
		       report);
	if (err) {
		cw_free(added);
		return err;
	}
	memcpy(added->layer + 1, layers->layer,
	       layers->nr * sizeof(layers->layer[0]));
	added->nr = layers->nr + 1;
	added->before = layers;
	*out = added;
	return 0;
}

void cw_layers_take_back(struct cw_layers *added)
{
	if (!added)
		return;
	cw_cow_close(added->layer[0]);
	cw_free(added);
}
