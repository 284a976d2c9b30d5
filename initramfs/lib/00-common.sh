# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: what the initramfs of either kind does (initramfs-tools, dracut).
# POSIX shell for dash and busybox. All parts are installed as one file, which is
# sourced; in their order.
#
# Whoever sources it defines
#   cw_shell MESSAGE...   show the message, give a shell, return when it is left
# and calls
#   cw_parse "$(cat /proc/cmdline)"   sets cw_wanted and the cw_* of its part
#   cw_mount_root DIR                 all the rest

# Mounts that have to outlive the root file system. systemd and dracut leave
# what is below /run/initramfs alone until the very end.
cw_run=/run/initramfs
cw_dir=$cw_run/cloopw
cw_device=/dev/cloopw0
cw_mounts_file=/proc/self/mounts

cw_say() {
	echo "cloopw: $*"
}

# cw_loud TEXT: cannot be overlooked, and is in the kernel's log too
cw_loud() {
	echo
	echo "*** cloopw: $*"
	echo
	{ echo "<3>cloopw: $*" >/dev/kmsg; } 2>/dev/null || :
}
