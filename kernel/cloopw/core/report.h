/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reason of a refusal, as a code and in words, for the caller.
 *
 * A function that can refuse its input takes a report. The report keeps the
 * first reason, because later ones are its consequences. The ioctls pass both to
 * the tool, which chooses a remedy by the code and prints the text. So the text
 * is one line: control characters become question marks.
 */
#ifndef CLOOPW_REPORT_H
#define CLOOPW_REPORT_H

#include "../uapi/cloopw.h"
#include "platform.h"

#define CW_REPORT_LEN CLOOPW_MESSAGE_LEN

struct cw_report {
	enum cloopw_reason_code code;
	char text[CW_REPORT_LEN];
};

/* The name of an error for people; err has either sign. */
const char *cw_error_text(int err);

/* "NOT_FROZEN", for programs that pass codes on; NULL: there is no such code. */
const char *cw_reason_name(unsigned int code);
/* The code of this name; CLOOPW_R_NONE: there is none. */
enum cloopw_reason_code cw_reason_by_name(const char *name);

/*
 * Keeps the reason unless the report has one. Returns err. report may be NULL.
 */
__printf(4, 5) int cw_refuse(struct cw_report *report, int err,
			     enum cloopw_reason_code code, const char *fmt,
			     ...);
/* The same in the words of CLOOPW_REASONS, of this file or device. */
int cw_refuse_file(struct cw_report *report, int err,
		   enum cloopw_reason_code code, const char *name);

#endif
