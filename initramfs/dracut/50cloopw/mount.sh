#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dracut: mounts the root of root=cloopw. A hook before the mount proper: where
# systemd runs in the initramfs, it makes a sysroot.mount of any root= it does not
# know, and that is content with what is mounted there already, but fails
# otherwise.

# shellcheck source=/dev/null  # initramfs/lib
. /lib/cloopw.sh

cw_shell() {
	emergency_shell -n cloopw "$*"
}

# with what the initramfs has in /etc/cmdline.d
cw_parse "$(getcmdline)"
# shellcheck disable=SC2154  # dracut's
if [ "$cw_wanted" ] && ! ismounted "$NEWROOT"; then
	# Its tree for the shutdown stands instead of dracut's, which would be
	# unpacked from an initramfs in /boot: a live system has none.
	# What it says: standard output is not shown.
	cw_mount_root "$NEWROOT" >&2
fi
