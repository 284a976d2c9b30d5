#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# initramfs/lib boots from the directory it runs in, as if that were a medium:
#   initramfs.sh PROGRAM TEXT [PARAMETER...]
# PROGRAM is powercut-boot, in the place of cloopwsetup and the driver; TEXT is what it
# writes (-: nothing).

set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
for part in "$top"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done
program=$1 text=$2
shift 2

# of initramfs/lib
# shellcheck disable=SC2034,SC2154,SC2317
{
	cw_dir=$(mktemp -d)
	trap 'rm -rf "$cw_dir"' EXIT
	cw_image=$PWD/image cw_way=--driver
	cw_wait_for() { echo "$1"; }
	cw_loud() { echo "$*" >&2; }
	cw_mount_cow() {
		cw_cow_dir=$PWD cw_cow_file=$PWD$cw_cow_path
		cw_is_plain "$cw_cow_dir" "$cw_cow_path"
	}
}

# cloopwsetup --driver --cache SIZE [-r] [-c COW]... DEVICE IMAGE, or -d DEVICE
# shellcheck disable=SC2154,SC2317
cloopwsetup() {
	[ "$1" != -d ] || return 0
	shift 3
	reads='' cows='' writes=$text
	while [ $# -gt 2 ]; do
		case $1 in
		-r) reads=-r ;;
		-c)
			# what is only attached before going back is not written
			[ ! "$cw_rollback" ] || [ "$cows" ] || [ ! -e "$2" ] || writes=-
			cows="$cows ${2##*/}"
			shift ;;
		esac
		shift
	done
	[ "$writes" = - ] || [ "$reads" ] || reads="-w $writes"
	# shellcheck disable=SC2086  # words
	"$program" $reads "${2##*/}" $cows
}

cw_parse "root=cloopw cloopw.image=/dev/sda1:/image cloopw.cow=/dev/sda1:/cow $*"
# shellcheck disable=SC2154  # of initramfs/lib
if ! cw_attach_persistent; then
	echo "initramfs: $cw_reason" >&2
	exit 1
fi
