/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why something was refused, in words, for whoever asked.
 *
 * A function that can refuse its input takes a report. The first reason is
 * kept, since it is the cause and what follows are its consequences. The text
 * travels to the tool through the configure ioctl and is printed there, so it
 * is one line: control characters become question marks.
 */
#ifndef CLOOPW_REPORT_H
#define CLOOPW_REPORT_H

#include "platform.h"

#define CW_REPORT_LEN 512

struct cw_report {
	char text[CW_REPORT_LEN];
};

/* What a person calls it; err with either sign. */
const char *cw_error_text(int err);

/* Keeps the reason unless there is one; returns err. report may be NULL. */
__attribute__((format(printf, 3, 4)))
int cw_refuse(struct cw_report *report, int err, const char *fmt, ...);

#endif
