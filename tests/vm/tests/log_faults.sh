# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Media that fail under a COW, as a bare device and as a file on ext4 and XFS, and
# under the image: writes that end with an error, that are lost without a word, and
# a disk that is gone. What was synced before is there after the next attach, and
# whoever syncs meanwhile gets the error.

# shellcheck source=tests/vm/lib/flaky.sh
. /cloopw/lib/flaky.sh
sys=/sys/block/cloopw0/cloopw
make_medium 400 48 # XFS wants 300 MiB
head -c 8M /dev/urandom >first
head -c 8M /dev/urandom >second

# becomes TARGET OPTIONS...: all of the medium, with what is on its way lost
becomes() {
	echo "0 $((size * 2048)) $*" | medium_becomes
}
lacks_writes() { becomes flakey "$(disk 1)" 0 0 3600 1 "$1"; }

# mount_host HOLDER, umount_host: what has the COW, named in $cow
mount_host() {
	cow=$medium
	[ "$1" != bare ] || return 0
	cow=host/cow
	mount "$medium" host
}
umount_host() {
	[ "$1" = bare ] || umount host
}
new_host() {
	heals
	wipefs -q -a "$medium"
	case $1 in
	bare) dd if=/dev/zero of="$medium" bs=$mib count=64 status=none conv=fsync ;;
	ext4) mke2fs -q -F -t ext4 "$medium" ;;
	xfs) mkfs.xfs -q -f "$medium" ;;
	esac
	mount_host "$1"
}
put() {
	dd if="$1" of=$dev bs=$mib seek="$2" conv=notrunc,fsync status=none
}
holds() {
	cmp -n $((8 * mib)) -i 0:$(($2 * mib)) "$1" $dev
}
state_is() { test "$(cat $sys/state)" = "$1"; }
drop() { echo 3 >/proc/sys/vm/drop_caches; }
refused() { ! "$@"; }

# again HOLDER NAME: healed and attached anew, what was synced first is there
again() {
	detach
	umount_host "$1"
	heals
	mount_host "$1"
	must "$2: attached again" cloopwsetup -c "$cow" $dev base.cloopw
	check "$2: what was synced before is there" holds first 0
	check "$2: it can be written" put second 16
	must "$2: detached" cloopwsetup -d $dev
	check "$2: cloopwck finds no fault" cloopwck -q "$cow" base.cloopw
	umount_host "$1"
}
# fails HOLDER NAME TABLE...
fails() {
	local holder=$1 name=$2
	shift 2
	new_host "$holder"
	must "$name: attached" cloopwsetup --force -c "$cow" $dev base.cloopw
	must "$name: written" put first 0
	"$@"
	check "$name: a sync gets the error" refused put second 8
	check "$name: the state tells it" wait_for 20 state_is failed
	check "$name: so does the next sync" refused put second 24
	check "$name: and a flush of the device" refused cloopwsetup --flush $dev
	# XFS shuts itself down, and a disk that is gone is not read
	if [ "$holder" != xfs ] && [ "$1" = lacks_writes ]; then
		drop
		check "$name: reads go on" holds first 0
	fi
	again "$holder" "$name"
}
lies() {
	local holder=$1 name=$2
	new_host "$holder"
	must "$name: attached" cloopwsetup --force -c "$cow" $dev base.cloopw
	must "$name: written" put first 0
	lacks_writes drop_writes
	# nobody can know
	put second 8 || :
	cloopwsetup -d $dev || :
	again "$holder" "$name"
}

for holder in bare ext4 xfs; do
	fails $holder "$holder, writes fail" lacks_writes error_writes
	fails $holder "$holder, the disk is gone" becomes error
	lies $holder "$holder, writes are lost"
done

# ---- the image ----

mkcloopw -q second image.cloopw
# new_image HOLDER: on the medium, named in $image
new_image() {
	new_host "$1"
	image=$medium
	if [ "$1" = bare ]; then
		dd if=image.cloopw of="$medium" bs=$mib conv=fsync status=none
	else
		image=host/image.cloopw
		cp image.cloopw host/
		sync -f host
	fi
	rm -f cow
	must "$1: attached" cloopwsetup -c cow $dev "$image"
}
no_image() {
	umount -l host 2>/dev/null || :
	must "$1: detached" cloopwsetup -d $dev
}
# image_fails HOLDER NAME TABLE...: the medium of the image becomes that
image_fails() {
	local holder=$1 name=$2
	shift 2
	new_image "$holder"
	dd if=first of=$dev bs=$mib count=2 conv=notrunc,fsync status=none
	drop
	becomes "$@"
	check "$name: what was written is read" cmp -n $((2 * mib)) first $dev
	check "$name: what was not is an error" \
		refused dd if=$dev of=/dev/null bs=$mib skip=4 iflag=direct
	check "$name: writes go on" \
		dd if=first of=$dev bs=$mib seek=2 skip=2 count=1 conv=notrunc,fsync
	check "$name: state ok" state_is ok
	heals
	# the file system may have stopped for good
	[ "$holder" != bare ] ||
		check "$name: once it is there again it is read" cmp -i $((3 * mib)) second $dev
	no_image "$name"
}
image_is_slow() {
	new_image "$1"
	drop
	becomes delay "$(disk 1)" 0 40
	check "$1, the image's disk is slow: all is read right" cmp second $dev
	heals
	no_image "$1, slow"
}
modprobe dm-delay
for holder in bare ext4 xfs; do
	image_fails $holder "$holder, the image's disk is gone" error
	image_fails $holder "$holder, each request of the image fails" \
		flakey "$(disk 1)" 0 0 3600
	image_is_slow $holder
done
