/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A backing file as the engine sees it: a file or a block device, a memory
 * buffer in tests. The Linux side implements it in backing.c, the library in
 * lib/posix_io.c, the crash simulator with a recorder.
 *
 * All calls block, may come from many threads at once and return 0 or -errno.
 * Offsets and lengths are in bytes, of any alignment.
 */
#ifndef CLOOPW_IO_H
#define CLOOPW_IO_H

#include "platform.h"

struct cw_io;

struct cw_io_ops {
	/* All of [off, off + len), or -errno; -EIO when the file ends before. */
	int (*pread)(struct cw_io *io, void *buf, size_t len, u64 off);

	/* The same into two buffers; NULL: as two calls. */
	int (*pread_two)(struct cw_io *io, void *first, size_t first_len,
			 void *second, size_t second_len, u64 off);

	/* All of [off, off + len) is read soon: a hint. NULL: of no use here. */
	void (*will_read)(struct cw_io *io, u64 off, u64 len);

	/*
	 * All of it, or -errno and an unknown part of it. Extends the file.
	 * A quota, a limit of the process and the largest file that there can
	 * be are as a full disk: callers of cw_pwrite() and cw_allocate() get
	 * -ENOSPC for each.
	 */
	int (*pwrite)(struct cw_io *io, const void *buf, size_t len, u64 off);

	/* When it returns 0, all that was written before the call is durable. */
	int (*flush)(struct cw_io *io);

	/*
	 * Writes to [off, off + len) will find space; the file is extended.
	 * -ENOSPC when there is none, -EOPNOTSUPP (or NULL) when the medium
	 * cannot tell in advance.
	 */
	int (*allocate)(struct cw_io *io, u64 off, u64 len);

	/*
	 * Gives the space of [off, off + len) back; the file keeps its size.
	 * Afterwards it reads as zeros or as before. -EOPNOTSUPP when the
	 * medium cannot.
	 */
	int (*punch)(struct cw_io *io, u64 off, u64 len);

	/* Current size in bytes. */
	int (*size)(struct cw_io *io, u64 *size);

	/*
	 * How many bytes there is space for, those stored already included:
	 * of a file, of a device. No more than the largest file that there can
	 * be. NULL or -errno: that cannot be told.
	 */
	int (*capacity)(struct cw_io *io, u64 *bytes);

	/*
	 * Where data begins at off or behind it: all before it reads as zeros.
	 * Behind the end when there is none. NULL, or off: that cannot be told.
	 */
	u64 (*next_data)(struct cw_io *io, u64 off);
};

struct cw_io {
	const struct cw_io_ops *ops;
	const char *name; /* for messages; owned by whoever made the io */
	s64 mtime;        /* modification time, seconds since 1970; 0: unknown */
	/*
	 * Bytes that the medium writes as one, so that a write which power cuts
	 * off may destroy all of them; 0: a sector. A power of two.
	 */
	u32 physical_block;
	bool whole_pages; /* to write a part of a page may be to read it first */
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

static inline u64 cw_next_data(struct cw_io *io, u64 off)
{
	return io->ops->next_data ? io->ops->next_data(io, off) : off;
}

static inline int cw_pwrite(struct cw_io *io, const void *buf, size_t len,
			    u64 off)
{
	return io->ops->pwrite(io, buf, len, off);
}

/* There is no space, whoever limits it: the file system, a quota, a ulimit. */
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
