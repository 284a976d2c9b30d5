/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every on-disk structure, and nothing else. docs/reference/format.md describes them in
 * words. Types carry their byte order; only the functions that decode and
 * encode them see these structures.
 */
#ifndef CLOOPW_FORMAT_H
#define CLOOPW_FORMAT_H

#include "platform.h"

#define CW_ASSERT_SIZE(type, bytes) \
	static_assert(sizeof(type) == (bytes), #type " has the wrong size")
#define CW_ASSERT_AT(type, member, at) \
	static_assert(__builtin_offsetof(type, member) == (at), \
		      #type "." #member " is at the wrong offset")

/* ---- cloopw image, version 1 (little-endian) ---- */

#define CW_IMAGE_MAGIC "cloopw\x1a\n" /* 8 bytes */
#define CW_IMAGE_VERSION 1u
#define CW_SUPER_LEN 4096u /* the superblock's place; data starts behind it */

/*
 * A reference to stored bytes: a block of data or a page of the index. All
 * zeros: nothing is stored, and the block (or all below the page) is zeros.
 */
struct cw_disk_ref {
	__le64 where;  /* bits 0..47 byte offset, 48..55 codec, 56..63 zero */
	__le32 stored; /* bytes there; the block's length: not compressed */
	__le32 crc;    /* crc32c of the stored bytes */
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
#define CW_INDEX_FANOUT BIT(CW_INDEX_FANOUT_SHIFT)
#define CW_INDEX_PAGE_LEN 4096u
#define CW_INDEX_MAX_LEVELS 6u

struct cw_disk_index_page {
	struct cw_disk_ref ref[CW_INDEX_FANOUT];
};

CW_ASSERT_SIZE(struct cw_disk_index_page, CW_INDEX_PAGE_LEN);

/*
 * Feature words. They say what a reader does that finds an unknown bit in
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
	/* levels of the index; the root page is of levels - 1 */
	__le32 levels;
	__le32 codecs;     /* bit n: blocks of codec n occur */
	__le32 codec;      /* codec it was made with, for information */
	__le32 level;      /* level for that codec, two's complement */
	__le32 reserved0;
	__le64 created;    /* seconds since 1970; 0: not recorded */
	struct cw_disk_ref root;
	u8 label[64];      /* UTF-8, padded with zeros */
	/*
	 * Blocks that a boot reads, in the order of their use: so many bytes
	 * from CW_SUPER_LEN on. 0: not known.
	 */
	__le64 boot_bytes;
	u8 reserved[3904]; /* zero */
};

CW_ASSERT_SIZE(struct cw_disk_super, CW_SUPER_LEN);
CW_ASSERT_AT(struct cw_disk_super, compat, 16);
CW_ASSERT_AT(struct cw_disk_super, uuid, 40);
CW_ASSERT_AT(struct cw_disk_super, size, 56);
CW_ASSERT_AT(struct cw_disk_super, block_size, 72);
CW_ASSERT_AT(struct cw_disk_super, created, 96);
CW_ASSERT_AT(struct cw_disk_super, root, 104);
CW_ASSERT_AT(struct cw_disk_super, label, 120);
CW_ASSERT_AT(struct cw_disk_super, boot_bytes, 184);
CW_ASSERT_AT(struct cw_disk_super, reserved, 192);

#define CW_NATIVE_MIN_BLOCK 4096u
#define CW_NATIVE_MAX_BLOCK (1024u * 1024)

/*
 * ---- cloop V0.68, V2.0, V4.0 (big-endian) ----
 * The header comment of cloop.h describes it (Debian package cloop-src). A file
 * begins with a preamble of 128 bytes, a shell script whose text names the
 * version. Block size and count follow. Then the index says where each block
 * begins and where the last one ends. V4.0 may have index and header, in this
 * order, at the end of the file.
 */

#define CW_CLOOP_PREAMBLE_LEN 128u
#define CW_CLOOP_SIGNATURE_AT 0x0bu /* in the preamble; V0.68 has none */
#define CW_CLOOP2_SIGNATURE "V2.0"
#define CW_CLOOP4_SIGNATURE "V4.0"

struct cw_disk_cloop_head {
	u8 preamble[CW_CLOOP_PREAMBLE_LEN];
	__be32 block_size;
	__be32 blocks;
	/* index: blocks + 1 times __be32 in V0.68, __be64 later */
};

CW_ASSERT_SIZE(struct cw_disk_cloop_head, 136);

/* Bits of an index entry of V4.0. */
#define CW_CLOOP4_OFFSET_BITS 60 /* 0..59; 60..63: enum cw_cloop4_codec */

enum cw_cloop4_codec {
	CW_CLOOP4_ZLIB = 0,
	CW_CLOOP4_NONE = 1,
	CW_CLOOP4_XZ = 2,
	CW_CLOOP4_LZ4 = 3,
	CW_CLOOP4_LZO = 4,
};

/*
 * ---- User-mode Linux COW file (big-endian; version 1: its writer's order) ----
 * The source arch/um/drivers/cow_user.c of the Linux kernel describes it.
 */

#define CW_UML_MAGIC 0x4f4f4f4du /* "OOOM" */
#define CW_UML_PATH_LEN 4096u
#define CW_UML1_PATH_LEN 256u
#define CW_UML_FORMAT_BITMAP 0u

struct cw_disk_uml1 {
	u8 magic[4];
	u8 version[4];
	char base[CW_UML1_PATH_LEN];
	u8 mtime[4];
	u8 size[8];
	u8 sector_size[4];
} __packed;

CW_ASSERT_SIZE(struct cw_disk_uml1, 280);

struct cw_disk_uml2 {
	__be32 magic;
	__be32 version;
	char base[CW_UML_PATH_LEN];
	__be32 mtime;
	__be64 size;
	__be32 sector_size;
} __packed;

CW_ASSERT_SIZE(struct cw_disk_uml2, 4120);

struct cw_disk_uml3 {
	__be32 magic;
	__be32 version;
	__be32 mtime;      /* mtime of the base file, low 32 bits */
	__be64 size;       /* bytes of the base */
	__be32 sector_size;
	__be32 alignment;  /* alignment of the data, bytes */
	__be32 cow_format;
	char base[CW_UML_PATH_LEN];
} __packed;

CW_ASSERT_SIZE(struct cw_disk_uml3, 4128);

/* Version 3 of 64-bit programs that did not pack it. */
struct cw_disk_uml3_padded {
	__be32 magic;
	__be32 version;
	__be32 mtime;      /* its place on a little-endian machine */
	__be32 mtime_be;   /* its place on a big-endian one */
	__be64 size;
	__be32 sector_size;
	__be32 alignment;
	__be32 cow_format; /* 0 */
	char base[CW_UML_PATH_LEN];
	u8 padding[4];
};

CW_ASSERT_SIZE(struct cw_disk_uml3_padded, 4136);

/*
 * ---- cloopw COW log, version 1 (little-endian) ----
 * Two superblocks, then segments. docs/reference/format.md has the bytes, docs/explain/cow-log.md
 * the reasons.
 */

#define CW_LOG_MAGIC "cloopwC\n" /* 8 bytes */
#define CW_LOG_VERSION 1u
#define CW_LOG_SUPER_LEN 4096u
#define CW_LOG_SUPERS 2u
#define CW_LOG_SUPER_STRIDE 32768u /* superblock n is at n times this */
#define CW_LOG_START 65536u        /* segment 0 */
#define CW_LOG_SEGMENT_SHIFT 20
#define CW_LOG_SEGMENT_LEN BIT(CW_LOG_SEGMENT_SHIFT)
#define CW_LOG_SEGMENT_SECTORS (CW_LOG_SEGMENT_LEN / CW_SECTOR_SIZE)
#define CW_LOG_EXTENT_PAGES 16u    /* pages of 4 KiB that one record can hold */
#define CW_LOG_PARENT_LEN 1024u

/* compat: each freeze of this log marks both superblocks */
#define CW_LOG_COMPAT_FROZEN_TWICE 1ull
/* compat: base_digest is set */
#define CW_LOG_COMPAT_BASE_DIGEST 2ull
/* ro_compat: never written again, so other layers may lie over it */
#define CW_LOG_RO_COMPAT_FROZEN 1ull
/* incompat: the file below is a COW layer, not an image */
#define CW_LOG_INCOMPAT_OVER_LAYER 1ull
/* incompat: the device is longer than the file below, see base_size */
#define CW_LOG_INCOMPAT_GROWN 2ull

#define CW_LOG_COMPAT_KNOWN \
	(CW_LOG_COMPAT_FROZEN_TWICE | CW_LOG_COMPAT_BASE_DIGEST)
#define CW_LOG_RO_COMPAT_KNOWN CW_LOG_RO_COMPAT_FROZEN
#define CW_LOG_INCOMPAT_KNOWN \
	(CW_LOG_INCOMPAT_OVER_LAYER | CW_LOG_INCOMPAT_GROWN)

/*
 * The place of a page: an entry of the map, and of the pages that refer to map
 * pages. Zero: no place, and the layer below shows.
 */
#define CW_LOG_ENTRY_SECTOR_BITS 40 /* 0..39: sector / 512, from segment 0 */
#define CW_LOG_ENTRY_INDEX_SHIFT 40 /* 40..43: which of the record's pages */
#define CW_LOG_ENTRY_SECTORS_SHIFT 44 /* 44..51: sectors of the record */
#define CW_LOG_ENTRY_CODEC_SHIFT 52   /* 52..55: its codec */
#define CW_LOG_ENTRY_PAGES_SHIFT 56   /* 56..59: pages it holds, less 1 */
#define CW_LOG_ENTRY_STATE_SHIFT 62   /* 62..63: enum cw_log_state */

enum cw_log_state {
	CW_LOG_ABSENT = 0,
	CW_LOG_ZERO = 1,
	CW_LOG_DATA = 2,
};

#define CW_LOG_FANOUT 512u /* entries in a page of the map */

struct cw_disk_log_page {
	__le64 entry[CW_LOG_FANOUT];
};

CW_ASSERT_SIZE(struct cw_disk_log_page, CW_PAGE_SIZE);

/* An entry of a usage page, one a segment. */
#define CW_LOG_USAGE_LIVE_SHIFT 0   /* 0..15: pages' shares, see log.h */
#define CW_LOG_USAGE_LIVE_MASK 0xffffu
#define CW_LOG_USAGE_BAD 0xffffu    /* shares: damaged, never reused */
#define CW_LOG_USAGE_HELD 0xfffeu   /* shares: none, but its space is kept */
#define CW_LOG_USAGE_GEN_SHIFT 16   /* 16..63: generation of its content */

#define CW_LOG_MAP_ROOTS 64u   /* each: 512 x 512 map pages, 512 GiB */
#define CW_LOG_USAGE_ROOTS 16u /* each: 512 usage pages, 256 GiB of file */
/* longest device: what the roots lead to */
#define CW_LOG_MAX_SIZE BIT_ULL(45)

struct cw_disk_log_super {
	u8 magic[8];
	__le32 version;
	__le32 crc;           /* crc32c of these 4096 bytes with this field 0 */
	__le64 compat;        /* feature words, with the image's rules */
	__le64 ro_compat;
	__le64 incompat;
	u8 uuid[16];          /* UUID; a freeze replaces it */
	/* number of the checkpoint; the higher one is valid */
	__le64 seq;
	__le64 size;          /* bytes of the device */
	/* UUID of the file below; zeros: see base_mtime */
	u8 base_uuid[16];
	__le64 base_mtime;    /* seconds since 1970; 0: not checked */
	__le32 codec;         /* enum cw_codec_id for new data */
	__le32 codec_level;   /* two's complement */
	__le64 limit;         /* bytes that the file may have; 0: any number */
	__le64 gen_limit;     /* all generations handed out are below */
	__le64 segments;      /* segments that the usage pages describe */
	__le64 log_gen;       /* generation of the segment to recover from */
	__le64 log_seq;       /* sequence number of the first record there */
	__le32 log_segment;   /* its number; all ones: nothing to recover */
	__le32 log_sector;    /* first sector of the log in it */
	__le32 meta_segment;  /* place of the next map page */
	__le32 meta_sector;
	__le64 map_root[CW_LOG_MAP_ROOTS];
	__le64 usage_root[CW_LOG_USAGE_ROOTS];
	char parent[CW_LOG_PARENT_LEN]; /* name of the file below, a hint */
	__le32 codec_hc;      /* 1: lz4's thorough compressor makes lz4 data */
	__le32 reserved0;
	__le64 plain_pages;   /* pages of the device that the map has */
	__le64 base_digest;   /* digest of the content below; see compat */
	__le64 base_size;     /* GROWN: bytes of the device below; else 0 */
	u8 reserved[2240];
};

CW_ASSERT_SIZE(struct cw_disk_log_super, CW_LOG_SUPER_LEN);

static_assert(CW_LOG_MAX_SIZE == (u64)CW_LOG_MAP_ROOTS * CW_LOG_FANOUT *
				  CW_LOG_FANOUT * CW_LOG_FANOUT * CW_PAGE_SIZE,
	       "the longest device is not what the roots lead to");

#define CW_LOG_NO_SEGMENT 0xffffffffu
#define CW_LOG_RECORD_MAGIC 0x52576c63u /* "clWR" */

enum cw_log_record_type {
	CW_LOG_SEGMENT = 1, /* first record of a data segment */
	CW_LOG_JUMP = 2,    /* last record of one: the log goes on elsewhere */
	CW_LOG_WRITE = 3,   /* pages with data, and zero pages among them */
	CW_LOG_MOVE = 4,    /* pages with data, copied by the cleaner */
	CW_LOG_DROP = 5,    /* a range of pages is absent */
	CW_LOG_WIPE = 6,    /* a range of pages is zeros */
	/* nothing: fills a block, or replaces a failed record */
	CW_LOG_PAD = 7,
	CW_LOG_META = 8,    /* a page of the map or of what leads to it */
};

/* The kind of a META record, in its field from. */
enum cw_log_meta {
	CW_LOG_META_MAP = 1,       /* 512 entries, one a device page */
	CW_LOG_META_MAP_DIR = 2,   /* 512 entries, one a map page */
	CW_LOG_META_MAP_ROOT = 3,  /* 512 entries, one a directory page */
	CW_LOG_META_USAGE = 4,     /* 512 usages, one a segment */
	CW_LOG_META_USAGE_DIR = 5, /* 512 entries, one a usage page */
};

/*
 * Each record begins with this, at a multiple of 512 bytes. With codec none,
 * one __le32 crc32c a stored page follows, and then the payload. With other
 * codecs the payload follows at once.
 */
struct cw_disk_log_record {
	__le32 magic;
	/* crc32c of the header, this field 0, and of the page crcs */
	__le32 header_crc;
	__le64 gen;         /* generation of the segment */
	__le64 seq;         /* one more than the record before */
	__le64 page;        /* first device page; META: number of the page */
	__le32 pages;       /* WRITE, MOVE: 1..16; DROP, WIPE: 1.. */
	__le32 stored;      /* bytes of payload */
	__le32 payload_crc; /* crc32c of the payload; codec none: 0 */
	u8 type;
	u8 codec;
	__le16 data_mask;   /* WRITE, MOVE: bit n: page + n is in the payload */
	__le16 zero_mask;   /* WRITE: bit n: page + n is zeros */
	__le16 sectors;     /* length of the record */
	__le32 reserved;
	/* MOVE: the old sector; JUMP: next segment; META: enum cw_log_meta */
	__le64 from;
	/* JUMP: generation of the next segment; MOVE: of the segment of from */
	__le64 next_gen;
};

CW_ASSERT_SIZE(struct cw_disk_log_record, 72);

#endif
