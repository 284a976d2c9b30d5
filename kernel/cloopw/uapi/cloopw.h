/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctl interface of cloopw, for C and C++.
 *
 * /dev/cloopw-control   CLOOPW_CTL_ADD, _REMOVE, _GET_FREE, _QUERY
 * /dev/cloopwN          CLOOPW_CONFIGURE, CLOOPW_CLEAR, CLOOPW_GET_STATUS,
 *                       CLOOPW_SNAPSHOT, CLOOPW_RESIZE, CLOOPW_FLUSH,
 *                       CLOOPW_GET_READS, CLOOPW_RESET,
 *                       and for programs that know loop, LOOP_SET_FD,
 *                       _CONFIGURE, _CLR_FD, _SET_STATUS and _GET_STATUS (also
 *                       64), _SET_CAPACITY, _SET_DIRECT_IO of <linux/loop.h>
 *
 * Structures begin with their size in the caller's version. The kernel takes
 * shorter ones of older versions, and missing fields count as 0. It takes
 * longer ones whose unknown rest is 0; others get E2BIG. Unknown flags and
 * non-zero reserved fields get EINVAL.
 *
 * The caller does not open the files of an attach with O_EXCL. The kernel
 * claims the block devices among them. EBUSY: another user has claimed one.
 */
#ifndef _UAPI_CLOOPW_H
#define _UAPI_CLOOPW_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define CLOOPW_CONTROL_NAME "cloopw-control"
#define CLOOPW_MAX_LAYERS 64
#define CLOOPW_MESSAGE_LEN 512
#define CLOOPW_FORMAT_LEN 16
#define CLOOPW_LABEL_LEN 65

/* cloopw_config.flags, cloopw_status.flags */
#define CLOOPW_F_READ_ONLY (1u << 0) /* no layer is written */
#define CLOOPW_F_PARTSCAN (1u << 1)  /* look for a partition table */
/*
 * Read the image past the page cache. On a file system that cannot, the kernel
 * drops the pages that it has read, and the status does not have the flag.
 */
#define CLOOPW_F_DIRECT_IO (1u << 2)
/*
 * Record which blocks of the image are read first, for CLOOPW_GET_READS. An
 * image without blocks has nothing to record.
 */
#define CLOOPW_F_RECORD (1u << 3)
#define CLOOPW_F_ALL                                               \
	(CLOOPW_F_READ_ONLY | CLOOPW_F_PARTSCAN | CLOOPW_F_DIRECT_IO | \
	 CLOOPW_F_RECORD)

/*
 * The reasons of refusals: number, name, and what is to be said of the file or
 * device. Programs decide by the code. The text has the facts as well. A new
 * reason gets the next number.
 */
#define CLOOPW_REASONS(REASON) \
	REASON(1, NOT_OPEN, "is not open for that") \
	REASON(2, NOT_OPENED, "cannot be opened") \
	REASON(3, WRONG_KIND, "neither a file nor a block device") \
	REASON(4, BAD_WINDOW, "its part begins or ends where it cannot") \
	REASON(5, IN_USE, "is already in use") \
	REASON(6, CLAIMED, \
	       "is mounted, or in use by another device or program") \
	REASON(7, ITSELF, "lies on the device itself") \
	REASON(8, MAYBE_ITSELF, "may lie on the device itself") \
	REASON(9, UNATTACHED, "nothing is attached to it") \
	REASON(10, ATTACHED, "is already attached") \
	REASON(11, DEVICE_IN_USE, "is in use") \
	REASON(12, CHANGING, "is being changed already") \
	REASON(13, HAS_LAYERS, \
	       "has COW layers: detach it, and attach it otherwise") \
	REASON(14, BAD_REQUEST, "the request is not of this version") \
	REASON(15, UNSUPPORTED, "the driver has no such setting") \
	REASON(16, NO_FORMAT, "there is no such format") \
	REASON(17, UNREADABLE, "cannot be read") \
	REASON(18, UNWRITABLE, "cannot be written") \
	REASON(19, EMPTY, "is empty") \
	REASON(20, TRUNCATED, "is truncated") \
	REASON(21, DAMAGED, "is damaged") \
	REASON(22, IMPOSSIBLE, "has a number that is not possible") \
	REASON(23, TOO_LARGE, "is too large") \
	REASON(24, NOT_AN_IMAGE, "is no image of that format") \
	REASON(25, NOT_A_COW, "is no COW file") \
	REASON(26, OVERWRITTEN, "its beginning is overwritten") \
	REASON(27, NEWER, "is of a version that this driver does not know") \
	REASON(28, NO_CODEC, "needs a codec that this driver does not have") \
	REASON(29, ONLY_READABLE, \
	       "can be read, not written: attach it read-only") \
	REASON(30, OTHER_BASE, "was made for something else") \
	REASON(31, BASE_MODIFIED, "was made for it before it was modified") \
	REASON(32, BASE_MISSING, "lies over a COW file that is not given") \
	REASON(33, FROZEN, \
	       "is frozen: layers may lie over it, and it must not change") \
	REASON(34, NOT_FROZEN, "is not frozen, so nothing can lie over it") \
	REASON(35, NOT_FREEZABLE, \
	       "a COW file of its format cannot be frozen") \
	REASON(36, FREEZE_FAILED, "could not be frozen") \
	REASON(37, READ_ONLY, \
	       "the device is read-only, so it has nothing to be frozen") \
	REASON(38, NOT_A_LAYER, "was not made to lie over another COW file") \
	REASON(39, USED_LAYER, \
	       "has been used, and a new layer must be empty") \
	REASON(40, TOO_MANY_LAYERS, "has too many COW layers") \
	REASON(41, FIXED_IMAGE, "has the size it was made with") \
	REASON(42, FIXED_COW, "its COW file was made for its size") \
	REASON(43, USERSPACE_CODEC, "has a codec that only userspace reads") \
	REASON(44, NOT_GROWABLE, "a COW file of its format cannot grow") \
	REASON(45, SHRINK, "a device cannot shrink") \
	REASON(46, BAD_SIZE, "a device cannot have that size") \
	REASON(47, GROW_FAILED, "could not grow") \
	REASON(48, NOT_RESETTABLE, "a COW file of its format cannot be reset") \
	REASON(49, RESET_FAILED, "could not be reset")

#define CLOOPW_REASON_CODE(number, name, ...) CLOOPW_R_##name = (number),

enum cloopw_reason_code {
	CLOOPW_R_NONE = 0, /* errno is all that is known */
	CLOOPW_REASONS(CLOOPW_REASON_CODE)
};

#undef CLOOPW_REASON_CODE

/* The kernel fills it when an ioctl fails. */
struct cloopw_reason {
	__u32 size; /* sizeof(struct cloopw_reason), set by the caller */
	__u32 code; /* enum cloopw_reason_code */
	char text[CLOOPW_MESSAGE_LEN]; /* one line: which file, and why */
};

/* Attaches an image to an idle device, in one step. */
struct cloopw_config {
	__u32 size;      /* sizeof(struct cloopw_config) */
	__u32 flags;     /* CLOOPW_F_* */
	__s32 image_fd;  /* file or block device, open for reading */
	__u32 nr_layers; /* COW layers, 0..CLOOPW_MAX_LAYERS */
	/*
	 * address of __s32[nr_layers]: the top first, also open for writing.
	 * The kernel keeps these files open, with their locks, until the
	 * detach.
	 */
	__u64 layer_fds;
	__u64 offset;    /* bytes, the image's start in its file */
	__u64 sizelimit; /* length from there, in bytes; 0: all */
	__u64 cache_bytes; /* for decompressed clusters; 0: default */
	char format[CLOOPW_FORMAT_LEN]; /* the image's format; empty: probe */
	__u64 reason; /* address of a struct cloopw_reason; 0: none */
};

enum cloopw_state {
	CLOOPW_STATE_IDLE = 0, /* no image */
	CLOOPW_STATE_OK = 1,
	CLOOPW_STATE_FULL = 2,      /* writes get ENOSPC until there is space */
	CLOOPW_STATE_READ_ONLY = 3,
	CLOOPW_STATE_FAILED = 4,    /* the COW cannot be written; reads go on */
};

struct cloopw_status {
	__u32 size;        /* sizeof(struct cloopw_status), set by the caller */
	__u32 state;       /* enum cloopw_state */
	__u32 flags;       /* CLOOPW_F_* */
	__u32 nr_layers;
	__u64 device_size; /* bytes */
	__u64 image_size;  /* bytes, decompressed, exact */
	__u64 image_stored; /* bytes, compressed */
	__u64 offset;
	__u64 sizelimit;
	__u64 image_dev;   /* st_dev and st_ino of the image's file */
	__u64 image_ino;
	__u32 block_size;  /* bytes of a compressed block; 0: none */
	__u32 reserved;
	__u64 cow_live;    /* bytes; these four are the top layer's */
	__u64 cow_dead;
	__u64 cow_total;
	__u64 cow_plain;
	__u64 cache_hits;
	__u64 cache_misses;
	__u64 cache_bytes;
	__u64 cache_limit;
	__u64 read_errors;
	__u64 write_errors;
	__u8 uuid[16];     /* UUID of the image */
	char label[CLOOPW_LABEL_LEN];
	char format[CLOOPW_FORMAT_LEN];
	char cow_format[CLOOPW_FORMAT_LEN]; /* the top layer's */
	__u8 reserved2[7];
};

/*
 * cloopw_snapshot.flags: the caller knows that the layer does not lie on the
 * device itself. Without the flag the kernel refuses a layer on something that
 * it cannot look into: loop, dm, md, network file systems and the like.
 */
#define CLOOPW_SNAPSHOT_ELSEWHERE (1u << 0)

/*
 * Puts a new, empty COW layer on top of the layers of a device in use. The
 * present top is never written again. On error nothing has changed.
 */
struct cloopw_snapshot {
	__u32 size;     /* sizeof(struct cloopw_snapshot) */
	__u32 flags;    /* CLOOPW_SNAPSHOT_* */
	__s32 layer_fd; /* the new layer, open for reading and writing */
	__u32 reserved; /* 0 */
	__u64 reason;   /* like reason in struct cloopw_config */
};

/* cloopw_resize.flags: device_size has the wanted size */
#define CLOOPW_RESIZE_GROW (1u << 0)

/*
 * Takes over the new size of a raw image's file or block device. EOPNOTSUPP:
 * the image is compressed or has a COW layer, so its size is fixed. On error
 * nothing has changed.
 *
 * CLOOPW_RESIZE_GROW: the device grows to device_size, a multiple of 4096. The
 * top COW layer remembers that, and behind the old end are zeros. EOPNOTSUPP:
 * the layer's format cannot. EROFS: no layer is written. EINVAL: it would
 * shrink.
 */
struct cloopw_resize {
	__u32 size;        /* sizeof(struct cloopw_resize) */
	__u32 flags;       /* CLOOPW_RESIZE_* */
	__u64 device_size; /* bytes, set by the kernel */
	__u64 reason;      /* like reason in struct cloopw_config */
};

/*
 * Throws all changes away that the top COW layer holds: the device shows what is
 * below it. That is durable when the ioctl returns, and the page cache of the
 * device and its partitions has nothing of before. A power cut leaves all of the
 * changes or none. EBUSY: it is mounted, or claimed by another. EROFS: no layer is
 * written. EOPNOTSUPP: the layer's format cannot.
 */
struct cloopw_reset {
	__u32 size;   /* sizeof(struct cloopw_reset) */
	__u32 flags;  /* 0 */
	__u64 reason; /* like reason in struct cloopw_config */
};

/* The first read of a block of the image. */
struct cloopw_first_read {
	__u64 block;
	__u64 ms; /* since the attach */
};

/*
 * Returns first reads, in their order: those from number from on. The kernel
 * keeps the first 65,536, and returns fewer at once than the caller may want: nr
 * 0 is their end. ENODATA: the attach had no CLOOPW_F_RECORD, or the image has
 * no blocks.
 */
struct cloopw_reads {
	__u32 size;       /* sizeof(struct cloopw_reads) */
	__u32 flags;      /* 0 */
	__u32 nr;         /* how many there is room for; set to how many there are */
	__u32 block_size; /* bytes, set by the kernel */
	__u64 from;
	__u64 reads;      /* address of struct cloopw_first_read[nr] */
	__u64 reserved;   /* 0 */
};

/* cloopw_query.features */
#define CLOOPW_FEATURE_SNAPSHOT (1ull << 0)    /* CLOOPW_SNAPSHOT */
#define CLOOPW_FEATURE_RESIZE (1ull << 1)      /* CLOOPW_RESIZE */
#define CLOOPW_FEATURE_DIRECT_IO (1ull << 2)   /* CLOOPW_F_DIRECT_IO */
/* block devices below are claimed */
#define CLOOPW_FEATURE_CLAIMS (1ull << 3)
/* the ioctls of <linux/loop.h> */
#define CLOOPW_FEATURE_LOOP_IOCTLS (1ull << 4)
/* CLOOPW_F_RECORD and CLOOPW_GET_READS */
#define CLOOPW_FEATURE_RECORD (1ull << 5)
#define CLOOPW_FEATURE_GROW (1ull << 6)        /* CLOOPW_RESIZE_GROW */
#define CLOOPW_FEATURE_RESET (1ull << 7)       /* CLOOPW_RESET */
#define CLOOPW_FEATURES                                        \
	(CLOOPW_FEATURE_SNAPSHOT | CLOOPW_FEATURE_RESIZE |     \
	 CLOOPW_FEATURE_DIRECT_IO | CLOOPW_FEATURE_CLAIMS |    \
	 CLOOPW_FEATURE_LOOP_IOCTLS | CLOOPW_FEATURE_RECORD |    \
	 CLOOPW_FEATURE_GROW | CLOOPW_FEATURE_RESET)

/* The abilities of the loaded driver. A blank separates names. */
struct cloopw_query {
	__u32 size;       /* sizeof(struct cloopw_query), set by the caller */
	__u32 max_layers; /* the kernel sets this and all that follows */
	__u64 features;   /* CLOOPW_FEATURE_* */
	char version[32];
	char image_formats[80];
	char cow_formats[32];
	char codecs[80];     /* codecs of images and COW files, for reading */
	char cow_codecs[80]; /* codecs of COW files, for writing */
};

/*
 * cloopw takes 00-1F of it. In Linux 6.12, no other line of
 * Documentation/userspace-api/ioctl/ioctl-number.rst is from 0xD0 to 0xDA, and no
 * other header uses 0xD6 for an ioctl.
 */
#define CLOOPW_IOC_MAGIC 0xD6

/*
 * The first published lengths of the structures; none is shorter. The numbers
 * of ioctls contain these lengths: a structure may grow, and its number stays.
 */
#define CLOOPW_REASON_SIZE_1 520
#define CLOOPW_CONFIG_SIZE_1 72
#define CLOOPW_STATUS_SIZE_1 280
#define CLOOPW_SNAPSHOT_SIZE_1 24
#define CLOOPW_RESIZE_SIZE_1 24
#define CLOOPW_QUERY_SIZE_1 320
#define CLOOPW_READS_SIZE_1 40
#define CLOOPW_RESET_SIZE_1 16

/* The kernel reads the structure, or reads and writes it. */
#define CLOOPW_IOW(nr, size) _IOC(_IOC_WRITE, CLOOPW_IOC_MAGIC, nr, size)
#define CLOOPW_IOWR(nr, size) \
	_IOC(_IOC_READ | _IOC_WRITE, CLOOPW_IOC_MAGIC, nr, size)

/* Control device; each returns the device's number or -1 and errno. */
#define CLOOPW_CTL_ADD _IO(CLOOPW_IOC_MAGIC, 0x00)      /* arg: number, -1: any */
#define CLOOPW_CTL_REMOVE _IO(CLOOPW_IOC_MAGIC, 0x01)   /* arg: number */
#define CLOOPW_CTL_GET_FREE _IO(CLOOPW_IOC_MAGIC, 0x02) /* adds one if need be */
/* struct cloopw_query; returns 0 */
#define CLOOPW_CTL_QUERY CLOOPW_IOWR(0x03, CLOOPW_QUERY_SIZE_1)

/* struct cloopw_config */
#define CLOOPW_CONFIGURE CLOOPW_IOW(0x10, CLOOPW_CONFIG_SIZE_1)
#define CLOOPW_CLEAR _IO(CLOOPW_IOC_MAGIC, 0x11) /* EBUSY while in use */
/* struct cloopw_status */
#define CLOOPW_GET_STATUS CLOOPW_IOWR(0x12, CLOOPW_STATUS_SIZE_1)
/* struct cloopw_snapshot */
#define CLOOPW_SNAPSHOT CLOOPW_IOW(0x13, CLOOPW_SNAPSHOT_SIZE_1)
/* struct cloopw_resize */
#define CLOOPW_RESIZE CLOOPW_IOWR(0x14, CLOOPW_RESIZE_SIZE_1)
/*
 * Makes all data written so far durable, and leaves the next attach nothing to
 * recover. No argument.
 */
#define CLOOPW_FLUSH _IO(CLOOPW_IOC_MAGIC, 0x15)
/* struct cloopw_reads */
#define CLOOPW_GET_READS CLOOPW_IOWR(0x16, CLOOPW_READS_SIZE_1)
/* struct cloopw_reset */
#define CLOOPW_RESET CLOOPW_IOW(0x17, CLOOPW_RESET_SIZE_1)

#endif
