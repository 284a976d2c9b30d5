#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dracut: root=cloopw. An initramfs for this machine has it when the root is on cloopw. Any
# other has it when it is asked for: 50-cloopw.conf of the package asks.

# ROOT_MOUNTS: for tests
check() {
	require_binaries cloopwsetup cloopwck cloopw-ublkd busybox blkid || return 1
	[ "${hostonly-}" ] &&
		grep -q -E '^/dev/(cloopw|ublkb)[0-9p]* / ' \
			"${ROOT_MOUNTS:-/proc/self/mounts}" && return 0
	return 255
}

depends() {
	echo base udev-rules
}

installkernel() {
	# shellcheck disable=SC2154  # dracut's; it goes on when a module fails
	/usr/share/cloopw/need-module "$kernel" || exit 1
	hostonly='' instmods cloopw ublk_drv ext4 vfat exfat isofs udf btrfs xfs \
		nls_cp437 nls_ascii nls_iso8859-1 nls_utf8 \
		sr_mod cdrom usb_storage uas sd_mod
}

install() {
	inst_simple /usr/share/cloopw/initramfs.sh /lib/cloopw.sh
	inst_rules 61-cloopw.rules
	inst_multiple cloopwsetup cloopwck cloopw-ublkd busybox blkid modprobe insmod mount umount \
		sed tail tr stat readlink touch dd cp mv ln \
		chmod mkdir rm cat grep uname sleep dmesg
	# shellcheck disable=SC2154  # dracut's
	/usr/share/cloopw/shutdown-tree "$initdir"
	# shellcheck disable=SC2154  # dracut's
	inst_hook cmdline 30 "$moddir/cmdline.sh"
	inst_hook pre-mount 90 "$moddir/mount.sh"
	dracut_need_initqueue
}
