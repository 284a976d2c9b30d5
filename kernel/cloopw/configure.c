// SPDX-License-Identifier: GPL-2.0
/* CLOOPW_CONFIGURE: from the caller's structure to an attach. */
#include "configure.h"

#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attach.h"
#include "compat.h"
#include "request.h"
#include "uapi/cloopw.h"

static_assert(sizeof(struct cloopw_config) == CLOOPW_CONFIG_SIZE_1);
static_assert(CLOOPW_MAX_LAYERS == CW_MAX_LAYERS);

/* On the heap: too large for the stack below file systems. */
struct config_request {
	struct cloopw_config config;
	struct cloopw_setup setup;
	struct cw_report report;
};

static int check_config(const struct cloopw_config *config,
			struct cw_report *report)
{
	if (config->flags & ~CLOOPW_F_ALL)
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "unknown flags 0x%x",
				 config->flags & ~CLOOPW_F_ALL);
	if (config->nr_layers > CLOOPW_MAX_LAYERS)
		return cw_refuse(report, -EINVAL, CLOOPW_R_TOO_MANY_LAYERS,
				 "%u COW layers are more than %u",
				 config->nr_layers, CLOOPW_MAX_LAYERS);
	return cloopw_check_window(config->offset, config->sizelimit, report);
}

static int find_format(const struct cloopw_config *config,
		       const struct cw_image_format **format,
		       struct cw_report *report)
{
	*format = NULL;
	if (strnlen(config->format, sizeof(config->format)) ==
	    sizeof(config->format))
		return cw_refuse(report, -EINVAL, CLOOPW_R_BAD_REQUEST,
				 "the format's name does not end");
	if (!config->format[0])
		return 0;
	*format = cw_image_format_by_name(config->format);
	if (!*format)
		return cw_refuse(report, -EINVAL, CLOOPW_R_NO_FORMAT,
				 "unknown format '%s'", config->format);
	return 0;
}

static int decode_config(struct config_request *request)
{
	const struct cloopw_config *config = &request->config;
	struct cloopw_setup *setup = &request->setup;
	int err;

	err = check_config(config, &request->report);
	if (!err)
		err = find_format(config, &setup->format, &request->report);
	if (err)
		return err;
	setup->flags = config->flags;
	setup->image_fd = config->image_fd;
	setup->nr_layers = config->nr_layers;
	setup->offset = config->offset;
	setup->sizelimit = config->sizelimit;
	setup->cache_bytes = config->cache_bytes;
	if (copy_from_user(setup->layer_fds, u64_to_user_ptr(config->layer_fds),
			   config->nr_layers * sizeof(setup->layer_fds[0])))
		return -EFAULT;
	return 0;
}

int cloopw_configure(struct cloopw_disk *disk, bool exclusive,
		     const void __user *arg)
{
	struct config_request *request;
	int err;

	request = kzalloc_obj(*request);
	if (!request)
		return -ENOMEM;
	err = cloopw_read_request(&request->config, sizeof(request->config),
				  arg, CLOOPW_CONFIG_SIZE_1);
	if (err)
		goto free;
	err = decode_config(request);
	if (!err)
		err = cloopw_attach(disk, exclusive, &request->setup,
				    &request->report);
	if (err)
		cloopw_write_reason(&request->report, request->config.reason);
free:
	kfree(request);
	return err;
}
