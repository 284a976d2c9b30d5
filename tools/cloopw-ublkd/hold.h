/* SPDX-License-Identifier: GPL-2.0 */
/* The memory and the mounts that a server of a block device holds as long as it lives. */
#ifndef CLOOPW_UBLKD_HOLD_H
#define CLOOPW_UBLKD_HOLD_H

namespace cloopw {

/* Memory: a block device depends on this process, so the process must not wait for it. */
void hold_memory();

/*
 * A namespace of mounts. Another server after a crash opens its files by their names. In an
 * initramfs these end with the change to the new root, but not in the namespace, which has
 * a root of its own then. Elsewhere what others unmount is unmounted there as well. The log
 * is opened anew, because the shutdown unmounts /run before it detaches the device. Throws
 * Error.
 */
void hold_mounts();

}  // namespace cloopw

#endif
