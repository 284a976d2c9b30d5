// SPDX-License-Identifier: GPL-2.0
/* A plain image: any file or block device. */
#include "image.h"

static bool raw_probe(const struct cw_image_ends *ends)
{
	return true;
}

static int raw_open(struct cw_image *img, struct cw_report *report)
{
	img->size = img->io_size;
	img->stored_bytes = img->io_size;
	return 0;
}

static void raw_close(struct cw_image *img)
{
}

const struct cw_image_format cw_image_raw = {
	.name = "raw",
	.probe = raw_probe,
	.open = raw_open,
	.close = raw_close,
};
