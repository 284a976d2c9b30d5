#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dracut: mounts the root of root=cloopw.

# shellcheck source=/dev/null  # initramfs/lib
. /lib/cloopw.sh

cw_shell() {
	warn "$*"
	emergency_shell -n cloopw "$*"
}

cw_parse "$(cat /proc/cmdline)"
# shellcheck disable=SC2154  # dracut's
if [ "$cw_wanted" ] && ! ismounted "$NEWROOT"; then
	# Its tree for the shutdown stands instead of dracut's, which would be
	# unpacked from an initramfs in /boot: a live system has none.
	cw_mount_root "$NEWROOT"
fi
