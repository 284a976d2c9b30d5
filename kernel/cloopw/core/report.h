/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The reason of a refusal, in words, for the caller.
 *
 * A function that can refuse its input takes a report. The report keeps the
 * first reason, because later ones are its consequences. The configure ioctl
 * passes the text to the tool, which prints it. So the text is one line:
 * control characters become question marks.
 */
#ifndef CLOOPW_REPORT_H
#define CLOOPW_REPORT_H

#include "platform.h"

#define CW_REPORT_LEN 512

struct cw_report {
	char text[CW_REPORT_LEN];
};

/* The name of an error for people; err has either sign. */
const char *cw_error_text(int err);

/*
 * Keeps the reason unless the report has one. Returns err. report may be NULL.
 */
__printf(3, 4)
int cw_refuse(struct cw_report *report, int err, const char *fmt, ...);

#endif
