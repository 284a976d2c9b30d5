// SPDX-License-Identifier: GPL-2.0
#include "report.h"

int cw_refuse(struct cw_report *report, int err, const char *fmt, ...)
{
	va_list args;

	if (!report || report->text[0])
		return err;
	va_start(args, fmt);
	cw_vformat(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	return err;
}
