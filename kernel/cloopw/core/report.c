// SPDX-License-Identifier: GPL-2.0
#include "report.h"

/* Names and texts from files may contain anything. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((u8)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static const struct {
	int err;
	const char *text;
} error_texts[] = {
	{ EPERM, "Operation not permitted" },
	{ ENOENT, "No such file or directory" },
	{ EINTR, "Interrupted" },
	{ EIO, "Input/output error" },
	{ ENXIO, "No such device or address" },
	{ E2BIG, "Too much of it" },
	{ EBADF, "Bad file descriptor" },
	{ EAGAIN, "Resource temporarily unavailable" },
	{ ENOMEM, "Cannot allocate memory" },
	{ EACCES, "Permission denied" },
	{ EBUSY, "Device or resource busy" },
	{ ENODEV, "No such device" },
	{ EINVAL, "Invalid argument" },
	{ EFBIG, "File too large" },
	{ ENOSPC, "No space left on device" },
	{ EROFS, "Read-only file system" },
	{ ERANGE, "Out of range" },
	{ ENODATA, "No data available" },
	{ EBADMSG, "Damaged data" },
	{ EOVERFLOW, "Value too large" },
	{ EILSEQ, "Damaged data" },
	{ EOPNOTSUPP, "Operation not supported" },
	{ ETIMEDOUT, "Timed out" },
	{ ESTALE, "Stale file handle" },
	{ EREMOTEIO, "Remote I/O error" },
	{ EDQUOT, "Disk quota exceeded" },
};

const char *cw_error_text(int err)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(error_texts); i++)
		if (error_texts[i].err == (err < 0 ? -err : err))
			return error_texts[i].text;
	return "Unknown error";
}

#define REASON_TEXTS(number, name, text) \
	[number] = { #name, text },

static const struct {
	const char *name;
	const char *text;
} reasons[] = { CLOOPW_REASONS(REASON_TEXTS) };

const char *cw_reason_name(unsigned int code)
{
	return code < ARRAY_SIZE(reasons) ? reasons[code].name : NULL;
}

enum cloopw_reason_code cw_reason_by_name(const char *name)
{
	unsigned int code;

	for (code = 1; code < ARRAY_SIZE(reasons); code++)
		if (!strcmp(reasons[code].name, name))
			return code;
	return CLOOPW_R_NONE;
}

int cw_refuse(struct cw_report *report, int err, enum cloopw_reason_code code,
	      const char *fmt, ...)
{
	va_list args;

	if (!report || report->text[0])
		return err;
	va_start(args, fmt);
	cw_vformat(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	make_printable(report->text);
	report->code = code;
	return err;
}

int cw_refuse_file(struct cw_report *report, int err,
		   enum cloopw_reason_code code, const char *name)
{
	return cw_refuse(report, err, code, "%s: %s", name, reasons[code].text);
}
