/* SPDX-License-Identifier: GPL-2.0 */
/* The headers of User-mode Linux COW files: four layouts, one meaning. */
#ifndef CLOOPW_COW_UML_HEAD_H
#define CLOOPW_COW_UML_HEAD_H

#include "format.h"
#include "io.h"
#include "report.h"

struct cw_uml_head {
	u32 version;     /* 1..3 */
	u32 len;         /* bytes of the header */
	u64 size;        /* bytes of the base */
	u32 mtime;       /* mtime of the base, low 32 bits */
	u32 sector_size; /* a power of two, 512..4096 */
	u32 alignment;   /* 1..2^30; version 3 */
	u32 cow_format;  /* CW_UML_FORMAT_BITMAP */
	char base[CW_UML_PATH_LEN]; /* ends with a zero */
};

/* Does a header begin here? */
bool cw_uml_is_head(const u8 *bytes, u32 len);

/*
 * Reads, decodes and checks the header. Refuses with a report what cannot be
 * one.
 */
int cw_uml_read_head(struct cw_io *io, struct cw_uml_head *head,
		     struct cw_report *report);

#endif
