/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A backing file in the engine's view: a file or a block device, an image at a URL, or
 * memory. backing.c implements it in the driver and lib/port/posix_io.c in the library.
 * lib/net, lib/check and mkcloopw have others. The crash simulator has one that records.
 *
 * All calls block, may come from many threads at once, and return 0 or -errno.
 * Offsets and lengths are in bytes, with any alignment.
 */
#ifndef CLOOPW_IO_H
#define CLOOPW_IO_H

#include "platform.h"

struct cw_io;

struct cw_io_ops {
	/*
	 * Reads all of [off, off + len), or -errno. -EIO: the file ends before.
	 */
	int (*pread)(struct cw_io *io, void *buf, size_t len, u64 off);

	/* The same into two buffers. NULL: cw_pread_two() makes two calls. */
	int (*pread_two)(struct cw_io *io, void *first, size_t first_len,
			 void *second, size_t second_len, u64 off);

	/* A hint: all of [off, off + len) is read soon. NULL: no use here. */
	void (*will_read)(struct cw_io *io, u64 off, u64 len);

	/*
	 * The bytes that pread gave for [off, off + len) are wrong. True: they
	 * may have come from a copy, and the next read asks the source. NULL:
	 * there is no other source.
	 */
	bool (*distrust)(struct cw_io *io, u64 off, u64 len);

	/*
	 * Writes all of buf. On -errno an unknown part is written. Extends the
	 * file. A full quota, a limit of the process and the largest possible
	 * file count as a full disk. Callers of cw_cow_pwrite() and
	 * cw_allocate() get -ENOSPC for each.
	 */
	int (*pwrite)(struct cw_io *io, const void *buf, size_t len, u64 off);

	/* On 0, all data written before the call is durable. */
	int (*flush)(struct cw_io *io);

	/*
	 * Makes sure that writes to [off, off + len) find space, and extends
	 * the file. -ENOSPC: there is none. -EOPNOTSUPP (or NULL): the medium
	 * cannot tell in advance.
	 */
	int (*allocate)(struct cw_io *io, u64 off, u64 len);

	/*
	 * Gives the space of [off, off + len) back. The file keeps its size.
	 * Afterwards the range reads as zeros or as before. -EOPNOTSUPP: the
	 * medium cannot.
	 */
	int (*punch)(struct cw_io *io, u64 off, u64 len);

	/* Current size in bytes. */
	int (*size)(struct cw_io *io, u64 *size);

	/*
	 * How many bytes of a file or device there is space for, with those
	 * already stored. At most the largest possible file. NULL or -errno:
	 * unknown.
	 */
	int (*capacity)(struct cw_io *io, u64 *bytes);

	/*
	 * Returns where data begins, at off or behind it: all before reads as
	 * zeros. Without data, returns a place behind the end. NULL, or the
	 * value off: unknown.
	 */
	u64 (*next_data)(struct cw_io *io, u64 off);
};

struct cw_io {
	const struct cw_io_ops *ops;
	const char *name; /* for messages; owned by the creator of the io */
	s64 mtime; /* modification time, seconds since 1970; 0: unknown */
	/*
	 * Bytes that the medium writes as one. A write that power cuts off may
	 * destroy all of them. A power of two; 0: a sector.
	 */
	u32 physical_block;
	/* a write of a part of a page may read the page first */
	bool whole_pages;
};

static inline int cw_pread(struct cw_io *io, void *buf, size_t len, u64 off)
{
	return io->ops->pread(io, buf, len, off);
}

static inline int cw_pread_two(struct cw_io *io, void *first, size_t first_len,
			       void *second, size_t second_len, u64 off)
{
	int err;

	if (io->ops->pread_two)
		return io->ops->pread_two(io, first, first_len, second,
					  second_len, off);
	err = cw_pread(io, first, first_len, off);
	return err ? err : cw_pread(io, second, second_len, off + first_len);
}

static inline void cw_will_read(struct cw_io *io, u64 off, u64 len)
{
	if (io->ops->will_read)
		io->ops->will_read(io, off, len);
}

static inline bool cw_distrust(struct cw_io *io, u64 off, u64 len)
{
	return io->ops->distrust && io->ops->distrust(io, off, len);
}

static inline u64 cw_next_data(struct cw_io *io, u64 off)
{
	return io->ops->next_data ? io->ops->next_data(io, off) : off;
}

static inline int cw_pwrite(struct cw_io *io, const void *buf, size_t len,
			    u64 off)
{
	return io->ops->pwrite(io, buf, len, off);
}

/* No space is -ENOSPC, whether a file system, a quota or a ulimit says so. */
static inline int cw_as_no_space(int err)
{
	return err == -EFBIG || err == -EDQUOT ? -ENOSPC : err;
}

static inline int cw_flush(struct cw_io *io)
{
	return io->ops->flush(io);
}

static inline int cw_allocate(struct cw_io *io, u64 off, u64 len)
{
	if (!io->ops->allocate)
		return -EOPNOTSUPP;
	return cw_as_no_space(io->ops->allocate(io, off, len));
}

static inline int cw_punch(struct cw_io *io, u64 off, u64 len)
{
	return io->ops->punch(io, off, len);
}

static inline int cw_size(struct cw_io *io, u64 *size)
{
	return io->ops->size(io, size);
}

#define CW_CAPACITY_UNKNOWN (~0ull)

static inline u64 cw_capacity(struct cw_io *io)
{
	u64 bytes;

	if (!io->ops->capacity || io->ops->capacity(io, &bytes))
		return CW_CAPACITY_UNKNOWN;
	return bytes;
}

#endif
