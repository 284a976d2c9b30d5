# shellcheck shell=bash disable=SC2154  # live, which the caller sets
# SPDX-License-Identifier: GPL-2.0

# shellcheck source=scripts/lib/vmlinux.sh
. "$top/scripts/lib/vmlinux.sh"

# live_kernel: path of the ISO's kernel. An ELF kernel need not unpack itself.
live_kernel() {
	local vmlinuz=$live/root.boot/vmlinuz vmlinux=$live/root.boot/vmlinux
	[ "$vmlinux" -nt "$vmlinuz" ] || unpack_vmlinux "$vmlinuz" "$vmlinux"
	[ -e "$vmlinux" ] || vmlinux=$vmlinuz
	echo "$vmlinux"
}
