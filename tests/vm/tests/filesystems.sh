# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# File systems on the device: compressed base, COW on top, read-write where the
# file system can be written.

modprobe cloopw
defer rmmod cloopw
mkdir mnt
mke2fs -q -F -t ext4 "$(disk 0)"
mkdir host
mount "$(disk 0)" host
defer umount host

# writable NAME MOUNT-OPTIONS CHECK...: base.img is an empty file system
writable() {
	local name=$1 options=$2
	shift 2
	rm -f host/cow host/base.cloopw
	mkcloopw -q -f --codec lz4 base.img host/base.cloopw
	must "$name: attached" cloopwsetup -c host/cow /dev/cloopw0 host/base.cloopw
	must "$name: mounted" mount -o "$options" /dev/cloopw0 mnt
	check "$name: files copied" cp -r /usr/local/bin /cloopw mnt/
	umount mnt
	cloopwsetup -d /dev/cloopw0
	must "$name: attached again" \
		cloopwsetup -c host/cow /dev/cloopw0 host/base.cloopw
	check "$name: clean" "$@" /dev/cloopw0
	must "$name: mounted again" mount -o "$options" /dev/cloopw0 mnt
	check "$name: files are the same" diff -r /usr/local/bin mnt/bin
	umount mnt
	cloopwsetup -d /dev/cloopw0
}

rm -f base.img
mke2fs -q -t ext4 base.img 160M
writable ext4 rw e2fsck -fn
rm base.img
mke2fs -q -t ext2 -b 1024 base.img 160M
writable "ext2 with 1 KiB blocks" rw e2fsck -fn
rm base.img
truncate -s 160M base.img
mkfs.vfat base.img >/dev/null
writable FAT rw fsck.vfat -n
rm base.img
truncate -s 320M base.img
mkfs.xfs -q base.img
writable XFS rw xfs_repair -n
rm base.img

genisoimage -quiet -R -o cd.iso /usr/local/bin
mkcloopw -q -f --codec zlib cd.iso cd.cloopw
must "iso9660: attached" cloopwsetup -r /dev/cloopw0 cd.cloopw
must "iso9660: mounted" mount -t iso9660 -o ro /dev/cloopw0 mnt
check "iso9660: files are the same" diff -r /usr/local/bin mnt
umount mnt
cloopwsetup -d /dev/cloopw0
