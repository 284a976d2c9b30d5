# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Block devices below are claimed: who wants one for itself gets EBUSY while it is
# used, and the device after the detach. Several devices can share one base.

modprobe -a cloopw loop
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0

truncate -s 32M raw
mke2fs -q -F -t ext4 -d /etc raw
mkcloopw -q raw base.cloopw

disk=$(disk 1)
name=${disk##*/}
dd if=/dev/zero of="$disk" bs=1M count=162 conv=notrunc status=none
printf '%s\n' 'label: dos' '2048,131072' '133120,131072' '264192,65536' |
	sfdisk -q "$disk"
cow=${disk}1 base=${disk}2 other=${disk}3
dd if=raw of="$base" bs=1M conv=fsync,notrunc status=none

# mke2fs -n writes nothing, but asks for the device alone.
wanted='apparently in use by the system|[Bb]usy'
is_free() { mke2fs -n -q -t ext4 "$1" </dev/null; }
is_claimed() {
	refuses "$2: mkfs" "$wanted" mke2fs -n -q -t ext4 "$1"
	refuses "$2: wipefs" "$wanted" wipefs -a "$1"
	refuses "$2: mount" "$wanted|already mounted" mount -t ext4 "$1" mnt
}
held_by() { test -e "/sys/class/block/$1/holders/$2"; }
mkdir mnt

# ---- a COW ----

must "attached" cloopwsetup --force -c "$cow" $dev base.cloopw
defer "cloopwsetup -d $dev 2>/dev/null || :"
is_claimed "$cow" "a COW"
refuses "the disk it is a part of" "$wanted" wipefs -a "$disk"
check "its neighbour is free" is_free "$other"
check "lsblk knows whose it is" held_by "${name}1" cloopw0
check "it can be written" dd if=raw of=$dev bs=1M count=4 conv=fsync,notrunc
refuses "another device with it" 'in use' \
	cloopwsetup -r -c "$cow" /dev/cloopw1 base.cloopw

# ---- a snapshot freezes it, and adds a layer on a device ----

must "a snapshot on a device" cloopwsetup --snapshot "$other" --force $dev
is_claimed "$cow" "a frozen COW"
is_claimed "$other" "the layer over it"
must "detached" cloopwsetup -d $dev
for part in "$cow" "$other"; do
	check "$part is free" is_free "$part"
done
check "nobody has it" test ! -e "/sys/class/block/${name}1/holders/cloopw0"

must "two devices look at the same layers" cloopwsetup -r -c "$other" -c "$cow" \
	$dev base.cloopw
must "the second" cloopwsetup -r -c "$other" -c "$cow" /dev/cloopw1 base.cloopw
same "they are the same" $dev /dev/cloopw1
must "the first is detached" cloopwsetup -d $dev
refuses "the second has them" "$wanted" wipefs -a "$other"
must "the second is detached" cloopwsetup -d /dev/cloopw1
check "they are free" is_free "$other"

# ---- a base ----

must "a base" cloopwsetup --ram $dev "$base"
must "of two devices" cloopwsetup --ram /dev/cloopw1 "$base"
is_claimed "$base" "a base"
must "one is detached" cloopwsetup -d $dev
refuses "still in use" "$wanted" mke2fs -n -q -t ext4 "$base"
must "the other is detached" cloopwsetup -d /dev/cloopw1
check "it is free" is_free "$base"

must "a base by loop's ioctl" cloopw-loop $dev configure "$base" 0 0 0
must "its window is changed" cloopw-loop $dev window 512 0
is_claimed "$base" "a window"
must "detached by it" cloopw-loop $dev clear
check "free after that" is_free "$base"

# ---- what others have is refused ----

mount "$base" mnt
refuses "a base that is mounted" \
	"$base: cannot be claimed as image: it is mounted.*'lsblk' and 'findmnt' tell" \
	cloopwsetup --ram $dev "$base"
check "the device is idle" test "$(cat /sys/block/cloopw0/cloopw/state)" = idle
refuses "the disk of what is mounted" 'cannot be claimed as image' \
	cloopwsetup -r $dev "$disk"
umount mnt
must "the same when it is not" cloopwsetup --ram $dev "$base"
must "detached again" cloopwsetup -d $dev

mkfs.ext4 -q -F "$cow"
mount "$cow" mnt
refuses "a COW that is mounted" 'cannot make it a COW|cannot be claimed' \
	cloopwsetup --force -c "$cow" $dev base.cloopw
umount mnt
refuses "a base with a COW in the same place" 'in use|cannot be claimed' \
	cloopwsetup --force -c "${disk}1" $dev "$disk"
check "nothing is left claimed" is_free "$disk"

# A medium that cannot be written may be mounted, too.
loop=$(losetup -r -f --show raw)
defer losetup -d "$loop"
mount -o ro "$loop" mnt
must "a mounted device that is read-only" cloopwsetup --ram $dev "$loop"
same "reads the same" "$loop" $dev
must "is detached" cloopwsetup -d $dev
umount mnt

# ---- layers over each other ----

must "the lower" cloopwsetup --ram /dev/cloopw1 raw
must "the upper" cloopwsetup --ram $dev /dev/cloopw1
is_claimed /dev/cloopw1 "the lower"
refuses "the lower is in use" 'busy|in use' cloopwsetup -d /dev/cloopw1
must "the upper goes" cloopwsetup -d $dev
must "the lower goes" cloopwsetup -d /dev/cloopw1
