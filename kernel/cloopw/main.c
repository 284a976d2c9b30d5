// SPDX-License-Identifier: GPL-2.0
/* cloopw: a transparently compressed, writable loop device. */
#include <linux/module.h>

#include "budget.h"
#include "compat.h"
#include "disk.h"
#include "watch.h"

static unsigned int devices = 8;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "Devices made at the start; more through /dev/cloopw-control (default 8)");

static int __init cloopw_init(void)
{
	int err;

#ifdef CW_COMPAT_CHOOSE_CRC32C
	cw_crc32c_choose();
#endif
	cloopw_budget_init();
	err = cloopw_watch_init();
	if (err)
		goto exit_budget;
	err = cloopw_disk_init();
	if (err)
		goto exit_watch;
	err = cloopw_ctl_init(devices);
	if (!err)
		return 0;
	cloopw_disk_exit();
exit_watch:
	cloopw_watch_exit();
exit_budget:
	cloopw_budget_exit();
	return err;
}
module_init(cloopw_init);

static void __exit cloopw_exit(void)
{
	cloopw_ctl_exit();
	cloopw_disk_exit();
	cloopw_watch_exit();
	cloopw_budget_exit();
}
module_exit(cloopw_exit);

MODULE_DESCRIPTION("Transparently compressed, writable loop device");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.2.0");
#ifdef CW_COMPAT_CHOOSE_CRC32C
/* lz4, zstd and libcrc32c come by their symbols, the latter's algorithm not. */
MODULE_SOFTDEP("pre: crc32c");
#endif
