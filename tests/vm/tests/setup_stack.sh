# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A snapshot's layer on the device itself, through all that the kernel can put
# between them, is refused: by cloopwsetup, and by the driver where that sees it.

modprobe -a cloopw loop dm-mod overlay btrfs nbd
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
truncate -s 192M raw
mkcloopw -q raw image
mkdir on away upper

must "attached" cloopwsetup -c top.cow $dev image
cow() { cat /sys/block/cloopw0/cloopw/layers/0/path; }
top=$(cow)
itself=': each would wait for the other; name a file elsewhere'

# is_refused NAME WAY FILE: with and without --force
is_refused() {
	refuses "$1" "$3: lies on $dev itself$2$itself" cloopwsetup --snapshot "$3" $dev
	refuses "$1: forced" "$3: lies on $dev itself$2$itself" \
		cloopwsetup --force --snapshot "$3" $dev
	check "$1: as it was" test "$(cow)" = "$top"
}
# by_driver NAME FILE REASON: without cloopwsetup, which would have looked
by_driver() {
	cp --sparse=always layer "$2"
	refuses "$1: the driver" "$3" cloopw-hostile layer 0 $dev "$2"
	rm "$2"
}
seen='lies on the device itself: a COW layer must be elsewhere'
unseen='which the driver cannot look into: it may lie on the device itself'

# A layer as the driver would take it
must "a layer to copy" bash -euc "
	cp --sparse=always top.cow other.cow
	cloopwsetup -c other.cow /dev/cloopw1 image
	cloopwsetup --snapshot layer /dev/cloopw1
	cloopwsetup -d /dev/cloopw1"

# ---- a file system on the device, and overlayfs over that ----

mkfs.ext4 -q -F $dev
mount $dev on
is_refused "a file system" '' on/new
by_driver "a file system" on/new "$seen"
mkdir on/upper on/work
mount -t overlay -o lowerdir=away,upperdir=on/upper,workdir=on/work overlay upper
refuses "overlayfs" 'overlayfs whose directories it does not tell, which cannot be looked into' \
	cloopwsetup --snapshot upper/new $dev
by_driver "overlayfs" upper/new "$seen"
umount upper
mount -t overlay -o "lowerdir=$PWD/away,upperdir=$PWD/on/upper,workdir=$PWD/on/work" \
	overlay upper
is_refused "overlayfs by full names" ', through overlayfs' upper/new
umount upper

# ---- a loop device of a file on it, and dm over that ----

truncate -s 96M on/file
loop=$(losetup -f --show on/file)
mkfs.ext4 -q -F "$loop"
mount "$loop" away
is_refused "a loop device" ', through loop[0-9]+' away/new
by_driver "a loop device" away/new "loop[0-9]+, $unseen"
umount away
dmsetup --noudevsync create over --table "0 $((90 * 2048)) linear $loop 0"
dmsetup mknodes
mkfs.ext4 -q -F /dev/mapper/over
mount /dev/mapper/over away
is_refused "dm on a loop device" ', through dm-[0-9]+ and loop[0-9]+' away/new
is_refused "its block device" ', through dm-[0-9]+ and loop[0-9]+' /dev/mapper/over
umount away
dmsetup --noudevsync remove over
losetup -d "$loop"
rm on/file

# ---- another cloopw on it ----

truncate -s 32M on/inner
mkfs.ext4 -q -F on/inner
must "another device" cloopwsetup -c on/inner.cow /dev/cloopw1 on/inner
mount /dev/cloopw1 away
is_refused "another cloopw" ', through cloopw1' away/new
by_driver "another cloopw" away/new "$seen"
umount away
must "another device goes" cloopwsetup -d /dev/cloopw1
umount on

# ---- dm, and btrfs with a device that is elsewhere ----

dmsetup --noudevsync create on_it --table "0 $((160 * 2048)) linear $dev 0"
dmsetup mknodes
truncate -s 160M free
loop=$(losetup -f --show free)
mkfs.btrfs -q -f -m single -d single "$loop" /dev/mapper/on_it
mount "$loop" on
is_refused "btrfs with two devices" ', through dm-[0-9]+' on/new
umount on
mkfs.ext4 -q -F /dev/mapper/on_it
mount /dev/mapper/on_it on
is_refused "dm" ', through dm-[0-9]+' on/new
by_driver "dm" on/new "dm-[0-9]+, $unseen"
umount on
dmsetup --noudevsync remove on_it

# ---- what is elsewhere, and what cannot be told ----

mkfs.ext4 -q -F "$loop"
mount "$loop" on
must "a loop device that is elsewhere" cloopwsetup --snapshot on/new $dev
must "detached" cloopwsetup -d $dev
umount on
losetup -d "$loop"
must "attached again" cloopwsetup -c second.cow $dev image
truncate -s 64M served
mkfs.ext4 -q -F served
nbdkit -U "$PWD/sock" -P pid /usr/local/lib/nbdkit-cloopw-plugin.so served cow=served.cow
must "a server" wait_for 30 test -s pid
defer "kill $(cat pid)"
nbd-client -unix "$PWD/sock" /dev/nbd0 -N ''
defer 'nbd-client -d /dev/nbd0'
mount /dev/nbd0 on
refuses "NBD, whose server may be anywhere" \
	"on/new: lies on nbd0, which cannot be looked into; .*--force goes on" \
	cloopwsetup --snapshot on/new $dev
must "forced" cloopwsetup --force --snapshot on/new $dev
check "it is the top" test "$(cow)" = "$PWD/on/new"
must "detached after that" cloopwsetup -d $dev
umount on
