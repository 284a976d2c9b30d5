// SPDX-License-Identifier: GPL-2.0
#include "cow.h"

const struct cw_cow_format *const cw_cow_formats[] = {
	&cw_cow_log,
	&cw_cow_uml,
};

const unsigned int cw_cow_formats_count = ARRAY_SIZE(cw_cow_formats);

/* The image's format, but for raw, which takes any file. NULL: no image. */
static const struct cw_image_format *
image_format_of(const struct cw_image_ends *ends)
{
	unsigned int i;

	for (i = 0; i < cw_image_formats_count; i++)
		if (cw_image_formats[i] != &cw_image_raw &&
		    cw_image_formats[i]->probe(ends))
			return cw_image_formats[i];
	return NULL;
}

static int refuse_unknown(struct cw_io *io, struct cw_image_ends *ends,
			  struct cw_report *report)
{
	const struct cw_image_format *image = image_format_of(ends);
	const struct cw_cow_format *format;
	unsigned int i;

	if (image)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NOT_A_COW,
				 "%s: is an image of format %s, not a COW file",
				 io->name, image->name);

	for (i = 0; i < cw_cow_formats_count; i++) {
		format = cw_cow_formats[i];
		if (format->remains && format->remains(io, ends->head))
			return cw_refuse(report, -EINVAL, CLOOPW_R_OVERWRITTEN,
					 "%s: the beginning of this COW file is overwritten: cloopwck -y writes it again if nothing is lost by that",
					 io->name);
	}
	return cw_refuse(report, -EINVAL, CLOOPW_R_NOT_A_COW,
			 "%s: is no COW file of a known format", io->name);
}

static int find_format(struct cw_io *io, const struct cw_cow_format **format,
		       struct cw_report *report)
{
	struct cw_image_ends *ends;
	u64 size;
	unsigned int i;
	int err;

	*format = NULL;
	err = cw_size(io, &size);
	if (err)
		return cw_refuse(report, err, CLOOPW_R_UNREADABLE,
				 "%s: its size cannot be told (%s)", io->name,
				 cw_error_text(err));
	if (!size)
		return cw_refuse(report, -EINVAL, CLOOPW_R_EMPTY,
				 "%s: is empty, no COW file", io->name);
	ends = cw_alloc(sizeof(*ends)); /* no tail: the head tells enough */
	if (!ends)
		return -ENOMEM;
	ends->head_len = cw_min(size, CW_HEAD_LEN);
	err = cw_pread(io, ends->head, ends->head_len, 0);
	if (err)
		cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			  "%s: cannot be read (%s)", io->name,
			  cw_error_text(err));
	for (i = 0; !err && i < cw_cow_formats_count; i++)
		if (!*format && cw_cow_formats[i]->probe(ends->head, ends->head_len))
			*format = cw_cow_formats[i];
	if (!err && !*format)
		err = refuse_unknown(io, ends, report);
	cw_free(ends);
	return err;
}

int cw_cow_open(struct cw_io *io, struct cw_cache *cache, bool writable,
		const struct cw_cow_base *base, struct cw_cow **out,
		struct cw_report *report)
{
	struct cw_cow *cow = cw_alloc(sizeof(*cow));
	int err;

	*out = NULL;
	if (!cow)
		return -ENOMEM;
	cow->io = io;
	cow->cache = cache;
	cow->writable = writable;
	cow->size = base->size;
	err = find_format(io, &cow->format, report);
	if (!err)
		err = cow->format->open(cow, base, report);
	if (err) {
		cw_free(cow);
		return err;
	}
	*out = cow;
	return 0;
}

void cw_cow_close(struct cw_cow *cow)
{
	if (!cow)
		return;
	cow->format->close(cow);
	cw_free(cow);
}

int cw_cow_check_size(const struct cw_cow_format *format, const char *name,
		      u64 bytes, u64 size, struct cw_report *report)
{
	if (size < bytes)
		return cw_refuse(report, -EINVAL, CLOOPW_R_SHRINK,
				 "%s: the device has %llu bytes and cannot shrink to %llu",
				 name, bytes, size);
	if (size % format->step && size != bytes)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_SIZE,
				 "%s: %llu bytes are not a multiple of %u",
				 name, size, format->step);
	if (size > format->longest)
		return cw_refuse(report, -EFBIG, CLOOPW_R_TOO_LARGE,
				 "%s: a COW file of format %s covers up to %llu bytes, not %llu",
				 name, format->name, format->longest, size);
	return 0;
}

int cw_cow_identify(struct cw_io *io, struct cw_cow_identity *id,
		    struct cw_report *report)
{
	int err;

	memset(id, 0, sizeof(*id));
	err = find_format(io, &id->format, report);
	if (!err)
		err = id->format->identify(io, id, report);
	return err;
}

const char *cw_cow_state_name(enum cw_cow_state state)
{
	static const char *const names[] = {
		[CW_COW_OK] = "ok",
		[CW_COW_FULL] = "full",
		[CW_COW_READ_ONLY] = "read-only",
		[CW_COW_FAILED] = "failed",
	};

	return names[state];
}
