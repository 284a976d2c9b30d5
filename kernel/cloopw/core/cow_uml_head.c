// SPDX-License-Identifier: GPL-2.0
/*
 * Version 1 is in the byte order of the machine that wrote it, so its magic
 * tells which. Some 64-bit programs wrote version 3 with a time of 64 bits and
 * padding. Then the format of the file stands where the name of the base begins
 * otherwise. The format is 0, and the name is never empty.
 */
#include "cow_uml_head.h"

#define UML_LONGEST_HEAD sizeof(struct cw_disk_uml3_padded)

struct decoder {
	const u8 *bytes;
	bool little;
};

static u32 get32(const struct decoder *d, size_t at)
{
	__be32 be;
	__le32 le;

	memcpy(&be, d->bytes + at, sizeof(be));
	memcpy(&le, d->bytes + at, sizeof(le));
	return d->little ? cw_from_le32(le) : cw_from_be32(be);
}

static u64 get64(const struct decoder *d, size_t at)
{
	__be64 be;
	__le64 le;

	memcpy(&be, d->bytes + at, sizeof(be));
	memcpy(&le, d->bytes + at, sizeof(le));
	return d->little ? cw_from_le64(le) : cw_from_be64(be);
}

#define GET32(d, type, field) get32(d, __builtin_offsetof(type, field))
#define GET64(d, type, field) get64(d, __builtin_offsetof(type, field))

bool cw_uml_is_head(const u8 *bytes, u32 len)
{
	struct decoder big = { .bytes = bytes };
	struct decoder little = { .bytes = bytes, .little = true };

	return len >= sizeof(u32) && (get32(&big, 0) == CW_UML_MAGIC ||
				      get32(&little, 0) == CW_UML_MAGIC);
}

static void decode_1(const struct decoder *d, struct cw_uml_head *head)
{
	head->len = sizeof(struct cw_disk_uml1);
	head->mtime = GET32(d, struct cw_disk_uml1, mtime);
	head->size = GET64(d, struct cw_disk_uml1, size);
	head->sector_size = GET32(d, struct cw_disk_uml1, sector_size);
	head->alignment = 1;
	memcpy(head->base, d->bytes +
	       __builtin_offsetof(struct cw_disk_uml1, base), CW_UML1_PATH_LEN);
}

static void decode_2(const struct decoder *d, struct cw_uml_head *head)
{
	head->len = sizeof(struct cw_disk_uml2);
	head->mtime = GET32(d, struct cw_disk_uml2, mtime);
	head->size = GET64(d, struct cw_disk_uml2, size);
	head->sector_size = GET32(d, struct cw_disk_uml2, sector_size);
	head->alignment = 1;
	memcpy(head->base, d->bytes +
	       __builtin_offsetof(struct cw_disk_uml2, base), CW_UML_PATH_LEN);
}

static void decode_3(const struct decoder *d, struct cw_uml_head *head)
{
	head->len = sizeof(struct cw_disk_uml3);
	head->mtime = GET32(d, struct cw_disk_uml3, mtime);
	head->size = GET64(d, struct cw_disk_uml3, size);
	head->sector_size = GET32(d, struct cw_disk_uml3, sector_size);
	head->alignment = GET32(d, struct cw_disk_uml3, alignment);
	head->cow_format = GET32(d, struct cw_disk_uml3, cow_format);
	memcpy(head->base, d->bytes +
	       __builtin_offsetof(struct cw_disk_uml3, base), CW_UML_PATH_LEN);
}

/* The 32 bits of the time stand where the writer's byte order put them. */
static void decode_3_padded(const struct decoder *d, struct cw_uml_head *head)
{
	head->len = sizeof(struct cw_disk_uml3_padded);
	head->mtime = GET32(d, struct cw_disk_uml3_padded, mtime);
	if (!head->mtime)
		head->mtime = GET32(d, struct cw_disk_uml3_padded, mtime_be);
	head->size = GET64(d, struct cw_disk_uml3_padded, size);
	head->sector_size = GET32(d, struct cw_disk_uml3_padded, sector_size);
	head->alignment = GET32(d, struct cw_disk_uml3_padded, alignment);
	head->cow_format = GET32(d, struct cw_disk_uml3_padded, cow_format);
	memcpy(head->base, d->bytes +
	       __builtin_offsetof(struct cw_disk_uml3_padded, base),
	       CW_UML_PATH_LEN);
}

static int decode(const u8 *bytes, struct cw_uml_head *head, const char *name,
		  struct cw_report *report)
{
	struct decoder d = { .bytes = bytes };

	d.little = get32(&d, 0) != CW_UML_MAGIC;
	head->version = get32(&d, sizeof(u32));
	if (head->version == 1)
		decode_1(&d, head);
	else if (head->version == 2 && !d.little)
		decode_2(&d, head);
	else if (head->version == 3 && !d.little &&
		 GET32(&d, struct cw_disk_uml3_padded, cow_format))
		decode_3(&d, head);
	else if (head->version == 3 && !d.little)
		decode_3_padded(&d, head);
	else
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: UML COW file of version %u; only versions 1 to 3 are known",
				 name, head->version);
	return 0;
}

static int check(const struct cw_uml_head *head, const char *name,
		 struct cw_report *report)
{
	u32 path_len = head->version == 1 ? CW_UML1_PATH_LEN : CW_UML_PATH_LEN;

	if (head->cow_format != CW_UML_FORMAT_BITMAP)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NEWER,
				 "%s: UML COW format %u is not known", name,
				 head->cow_format);
	if (!cw_is_power_of_2(head->sector_size) ||
	    head->sector_size < CW_SECTOR_SIZE ||
	    head->sector_size > CW_PAGE_SIZE)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: sector size %u is no power of two within %u..%u",
				 name, head->sector_size, CW_SECTOR_SIZE,
				 CW_PAGE_SIZE);
	if (!head->alignment || head->alignment > 1u << 30)
		return cw_refuse(report, -EINVAL, CLOOPW_R_IMPOSSIBLE,
				 "%s: an alignment of %u bytes is not possible",
				 name, head->alignment);
	if (!memchr(head->base, 0, path_len))
		return cw_refuse(report, -EINVAL, CLOOPW_R_DAMAGED,
				 "%s: the name of its base has no end", name);
	return 0;
}

static int read_bytes(struct cw_io *io, u8 *bytes, u64 *len)
{
	int err = cw_size(io, len);

	if (err)
		return err;
	*len = cw_min(*len, UML_LONGEST_HEAD);
	return cw_pread(io, bytes, *len, 0);
}

int cw_uml_read_head(struct cw_io *io, struct cw_uml_head *head,
		     struct cw_report *report)
{
	u8 *bytes = cw_alloc(UML_LONGEST_HEAD);
	u64 len = 0;
	int err;

	if (!bytes)
		return -ENOMEM;
	memset(head, 0, sizeof(*head));
	err = read_bytes(io, bytes, &len);
	if (err)
		cw_refuse(report, err, CLOOPW_R_UNREADABLE,
			  "%s: cannot be read (%s)", io->name,
			  cw_error_text(err));
	else if (len < 2 * sizeof(u32))
		err = cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				"%s: truncated: no whole UML COW header",
				io->name);
	if (!err)
		err = decode(bytes, head, io->name, report);
	if (!err && len < head->len)
		err = cw_refuse(report, -EINVAL, CLOOPW_R_TRUNCATED,
				"%s: truncated: no whole UML COW header",
				io->name);
	if (!err)
		err = check(head, io->name, report);
	cw_free(bytes);
	return err;
}
