/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctl interface of cloopw, for C and C++.
 *
 * /dev/cloopw-control   CLOOPW_CTL_ADD, _REMOVE, _GET_FREE, _QUERY
 * /dev/cloopwN          CLOOPW_CONFIGURE, CLOOPW_CLEAR, CLOOPW_GET_STATUS,
 *                       CLOOPW_SNAPSHOT, CLOOPW_RESIZE, CLOOPW_FLUSH,
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
#define CLOOPW_F_ALL \
	(CLOOPW_F_READ_ONLY | CLOOPW_F_PARTSCAN | CLOOPW_F_DIRECT_IO)

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
	/* address of char[message_len] for the reason of a failure; 0: none */
	__u64 message;
	__u32 message_len;
	__u32 reserved;
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
	__u32 message_len;
	__u64 message;  /* like message in struct cloopw_config */
};

/*
 * Takes over the new size of a raw image's file or block device. EOPNOTSUPP:
 * the image is compressed or has a COW layer, so its size is fixed. On error
 * nothing has changed.
 */
struct cloopw_resize {
	__u32 size;        /* sizeof(struct cloopw_resize) */
	__u32 flags;       /* 0 */
	__u64 device_size; /* bytes, set by the kernel */
	__u64 message;     /* like message in struct cloopw_config */
	__u32 message_len;
	__u32 reserved;    /* 0 */
};

/* cloopw_query.features */
#define CLOOPW_FEATURE_SNAPSHOT (1ull << 0)    /* CLOOPW_SNAPSHOT */
#define CLOOPW_FEATURE_RESIZE (1ull << 1)      /* CLOOPW_RESIZE */
#define CLOOPW_FEATURE_DIRECT_IO (1ull << 2)   /* CLOOPW_F_DIRECT_IO */
/* block devices below are claimed */
#define CLOOPW_FEATURE_CLAIMS (1ull << 3)
/* the ioctls of <linux/loop.h> */
#define CLOOPW_FEATURE_LOOP_IOCTLS (1ull << 4)
#define CLOOPW_FEATURES                                        \
	(CLOOPW_FEATURE_SNAPSHOT | CLOOPW_FEATURE_RESIZE |     \
	 CLOOPW_FEATURE_DIRECT_IO | CLOOPW_FEATURE_CLAIMS |    \
	 CLOOPW_FEATURE_LOOP_IOCTLS)

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
#define CLOOPW_CONFIG_SIZE_1 80
#define CLOOPW_STATUS_SIZE_1 280
#define CLOOPW_SNAPSHOT_SIZE_1 24
#define CLOOPW_RESIZE_SIZE_1 32
#define CLOOPW_QUERY_SIZE_1 320

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

#endif
