/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every on-disk structure, and nothing else. docs/format.md describes them in
 * words. Types carry their byte order; only the functions that decode and
 * encode them see these structures.
 */
#ifndef CLOOPW_FORMAT_H
#define CLOOPW_FORMAT_H

#include "platform.h"

#define CW_ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type " has the wrong size")
#define CW_ASSERT_AT(type, member, at) \
	_Static_assert(__builtin_offsetof(type, member) == (at), \
		       #type "." #member " is at the wrong offset")

/* ---- cloopw image, version 1 (little-endian) ---- */

#define CW_IMAGE_MAGIC "cloopw\x1a\n" /* 8 bytes */
#define CW_IMAGE_VERSION 1u
#define CW_SUPER_LEN 4096u /* the superblock's place; data starts behind it */

/*
 * A reference to stored bytes: a block of data or a page of the index.
 * All zero: nothing is stored, the block (or all below the page) is zeros.
 */
struct cw_disk_ref {
	__le64 where;  /* bits 0..47 byte offset, 48..55 codec, 56..63 zero */
	__le32 stored; /* bytes there; equal to the block's length: not shrunk */
	__le32 crc;    /* crc32c of them */
};
CW_ASSERT_SIZE(struct cw_disk_ref, 16);

#define CW_REF_OFFSET_BITS 48
#define CW_REF_CODEC_SHIFT 48
#define CW_REF_RESERVED_SHIFT 56

/*
 * The index is a radix tree of pages of 256 references. Level 0 refers to
 * blocks, level n to pages of level n - 1; the superblock refers to the root.
 * Pages are stored plain (codec none).
 */
#define CW_INDEX_FANOUT_SHIFT 8
#define CW_INDEX_FANOUT (1u << CW_INDEX_FANOUT_SHIFT)
#define CW_INDEX_PAGE_LEN 4096u
#define CW_INDEX_MAX_LEVELS 6u

struct cw_disk_index_page {
	struct cw_disk_ref ref[CW_INDEX_FANOUT];
};
CW_ASSERT_SIZE(struct cw_disk_index_page, CW_INDEX_PAGE_LEN);

/*
 * Feature words. A reader that finds a bit it does not know in
 *   compat     goes on,
 *   ro_compat  may read but must not write (a tool that changes images),
 *   incompat   must refuse the image.
 */
#define CW_IMAGE_COMPAT_KNOWN 0ull
#define CW_IMAGE_RO_COMPAT_KNOWN 0ull
#define CW_IMAGE_INCOMPAT_KNOWN 0ull

struct cw_disk_super {
	u8 magic[8];
	__le32 version;
	__le32 crc;        /* crc32c of these 4096 bytes with this field 0 */
	__le64 compat;
	__le64 ro_compat;
	__le64 incompat;
	u8 uuid[16];
	__le64 size;       /* bytes of the image, decompressed, exact */
	__le64 file_bytes; /* length of this file: less means truncated */
	__le32 block_size; /* power of two, 4 KiB .. 1 MiB */
	__le32 levels;     /* of the index: the root page is of levels - 1 */
	__le32 codecs;     /* bit n: blocks of codec n occur */
	__le32 codec;      /* what it was made with: codec, for information */
	__le32 level;      /* and level, two's complement */
	__le32 reserved0;
	__le64 created;    /* seconds since 1970; 0: not recorded */
	struct cw_disk_ref root;
	u8 label[64];      /* UTF-8, padded with zeros */
	u8 reserved[3912]; /* zero */
};
CW_ASSERT_SIZE(struct cw_disk_super, CW_SUPER_LEN);
CW_ASSERT_AT(struct cw_disk_super, compat, 16);
CW_ASSERT_AT(struct cw_disk_super, uuid, 40);
CW_ASSERT_AT(struct cw_disk_super, size, 56);
CW_ASSERT_AT(struct cw_disk_super, block_size, 72);
CW_ASSERT_AT(struct cw_disk_super, created, 96);
CW_ASSERT_AT(struct cw_disk_super, root, 104);
CW_ASSERT_AT(struct cw_disk_super, label, 120);
CW_ASSERT_AT(struct cw_disk_super, reserved, 184);

#define CW_NATIVE_MIN_BLOCK 4096u
#define CW_NATIVE_MAX_BLOCK (1u << 20)

/*
 * ---- cloop V2.0 (big-endian) ----
 * Described in the header comment of cloop.h (Debian package cloop-src): a
 * 128-byte preamble, a shell script whose text names the version, then:
 */

#define CW_CLOOP_PREAMBLE_LEN 128u
#define CW_CLOOP_SIGNATURE_AT 0x0bu /* in the preamble */
#define CW_CLOOP2_SIGNATURE "V2.0"

struct cw_disk_cloop_head {
	u8 preamble[CW_CLOOP_PREAMBLE_LEN];
	__be32 block_size;
	__be32 blocks;
	/* then __be64 offset[blocks + 1] of the blocks; the last is the end */
};
CW_ASSERT_SIZE(struct cw_disk_cloop_head, 136);

/*
 * ---- User-mode Linux COW file (big-endian from version 2 on) ----
 * Described by arch/um/drivers/cow_user.c of the Linux kernel.
 */

#define CW_UML_MAGIC 0x4f4f4f4du /* "OOOM" */
#define CW_UML_PATH_LEN 4096u
#define CW_UML_FORMAT_BITMAP 0u

struct cw_disk_uml3 {
	__be32 magic;
	__be32 version;
	__be32 mtime;      /* of the base file, low 32 bits */
	__be64 size;       /* bytes of the base */
	__be32 sector_size;
	__be32 alignment;  /* of the data, bytes */
	__be32 cow_format;
	char base[CW_UML_PATH_LEN];
} __attribute__((packed));
CW_ASSERT_SIZE(struct cw_disk_uml3, 4128);

#endif
