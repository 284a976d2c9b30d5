// SPDX-License-Identifier: GPL-2.0
#include "report.h"

/* Names and what files say of themselves may be anything. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((u8)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

int cw_refuse(struct cw_report *report, int err, const char *fmt, ...)
{
	va_list args;

	if (!report || report->text[0])
		return err;
	va_start(args, fmt);
	cw_vformat(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	make_printable(report->text);
	return err;
}
