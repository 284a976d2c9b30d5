/* SPDX-License-Identifier: GPL-2.0 */
/* What the versions of cloop images have in common: header, index, blocks. */
#ifndef CLOOPW_CLOOP_H
#define CLOOPW_CLOOP_H

#include "format.h"
#include "image.h"

/* One entry of the index: where a block begins, and how it is compressed. */
struct cw_cloop_entry {
	u64 offset;
	u8 codec; /* CW_CODEC_IDS: none that is known */
};

/* How a version has it. */
struct cw_cloop_version {
	u32 entry_len;
	u32 codecs;   /* CW_CODEC_BIT()s that can occur */
	u32 overhead; /* 1 / overhead of a block, and some bytes, it may grow */
	struct cw_cloop_entry (*decode)(const u8 *disk);
};

/* Does a header with this signature begin here? */
bool cw_cloop_has_signature(const u8 *head, u32 len, const char *signature);

/*
 * For formats' open, close and locate. trailing: index and header are the end
 * of the file, not its beginning.
 */
int cw_cloop_open(struct cw_image *img, const struct cw_cloop_version *version,
		  bool trailing, struct cw_report *report);
void cw_cloop_close(struct cw_image *img);
int cw_cloop_locate(struct cw_image *img, u64 n, struct cw_extent *extent);

#endif
