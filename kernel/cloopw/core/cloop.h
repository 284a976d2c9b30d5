/* SPDX-License-Identifier: GPL-2.0 */
/* The parts that all versions of cloop images share: header, index, blocks. */
#ifndef CLOOPW_CLOOP_H
#define CLOOPW_CLOOP_H

#include "format.h"
#include "image.h"

/* One entry of the index: where a block begins, and how it is compressed. */
struct cw_cloop_entry {
	u64 offset;
	u8 codec; /* CW_CODEC_IDS: an unknown codec */
};

/* The properties in which the versions differ. */
struct cw_cloop_version {
	u32 entry_len;
	u32 codecs;   /* CW_CODEC_BIT()s that can occur */
	/* a block may grow by 1 / overhead of its length, and some bytes */
	u32 overhead;
	struct cw_cloop_entry (*decode)(const u8 *disk);
};

/* Does a header with this signature begin here? */
bool cw_cloop_has_signature(const u8 *head, u32 len, const char *signature);

/*
 * The formats' open, close and locate. trailing: index and header are at the
 * end of the file, not at its beginning.
 */
int cw_cloop_open(struct cw_image *img, const struct cw_cloop_version *version,
		  bool trailing, struct cw_report *report);
void cw_cloop_close(struct cw_image *img);
int cw_cloop_locate(struct cw_image *img, u64 n, struct cw_extent *extent);

#endif
