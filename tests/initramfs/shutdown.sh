# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: GPL-2.0
#
# The end of a root: which mounts it moves and unmounts before it says that the medium
# can be removed. Run by tests/initramfs/run in an empty directory. Functions stand in for
# the programs, and the file mounts for the kernel's list.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"
for part in "$1"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done
cw_mounts_file=$PWD/mounts
cw_say() { said="$said$*;"; }
cw_loud() { loud="$loud$*;"; }
mkdir() { :; }
sleep() { :; }
sync() { :; }
cloopwsetup() { ! grep -q '^/dev/cloopw0 ' mounts; }

# the_last DIR: the number of the line of the last mount there
the_last() {
	grep -n "^[^ ]* $1 " mounts | tail -n 1 | cut -d : -f 1
}

mount() {
	[ "$1" = --move ] || return 0
	line=$(the_last "$2")
	sed -i "${line}s,^\([^ ]*\) [^ ]*,\1 $3," mounts
}

umount() {
	line=$(the_last "$1")
	[ "$line" ] && [ "$1" != "$busy" ] || return 1
	sed -i "${line}d" mounts
}

# detach BUSY MOUNTS: with the lines of MOUNTS, "SOURCE PLACE" each
detach() {
	busy=$1 said='' loud=''
	printf '%s\n' "$2" | sed 's/$/ type rw 0 0/' >mounts
	cw_detach_all /oldroot
}

devices_left() {
	grep -c '^/dev/' mounts || :
}

api='tmpfs /
proc /proc
udev /dev'
root='/dev/cloopw0 /oldroot
tmpfs /oldroot/run
udev /oldroot/dev'
below='/dev/sr0 /oldroot/run/initramfs/cloopw/medium
/dev/vda /oldroot/run/initramfs/cloopw/persistent'
beside='/dev/sr0 /cloopw/medium
/dev/vda /cloopw/persistent'

for media in "$below" "$beside" "$below
$beside" "$beside
/dev/vda /mnt"; do
	yes_ 'detached' detach none "$api
$root
$media"
	is 'no device is mounted' "$(devices_left)" 0
	is 'that is said' "$said" "/dev/cloopw0 is detached, all changes are flushed;the medium can be removed;"
done

# in_use PLACE MEDIA: which cannot be unmounted
in_use() {
	no_ 'a medium in use' detach "$1" "$api
$root
$2"
	is 'it is named' "$loud" "$1 is still in use;"
	is 'nobody says that it can be removed' "$said" \
		'/dev/cloopw0 is detached, all changes are flushed;'
}

in_use /media-of-cloopw/persistent "$below"
in_use /cloopw/persistent "$beside"
exit "$status"
