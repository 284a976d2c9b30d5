# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The harness itself: the guest's library, programs and modules; disks where
# there are some (selftest gives two and compares what comes back).

ok "starts"
check "a command that succeeds" true
refuses "a command that fails" 'No such file' cat /nonexistent
echo text >a
cp a b
same "the same bytes" a b
check "scratch is empty" test -z "$(ls -A "$(scratch)")"

all_programs() {
	local name missing=
	for name in bash mount losetup lsblk blkid wipefs sfdisk blockdev \
		fstrim dmsetup mkfs.ext4 e2fsck tune2fs dumpe2fs mkfs.xfs \
		xfs_repair mkfs.btrfs btrfs mkfs.vfat fsck.vfat genisoimage \
		mkfs.erofs mksquashfs fio bonnie++ uml_mkcow uml_moo \
		create_compressed_fs extract_compressed_fs cmp dd sha256sum \
		find tar udevadm xz gzip zstd lz4; do
		case $(command -v "$name") in
		'' | /usr/busybox/*) missing+=" $name" ;;
		esac
	done
	echo "missing:$missing" >&2
	[ ! "$missing" ]
}
check "distribution programs come first" all_programs
check "fio finds its libraries" fio --version
check "busybox has the rest" nslookup --help

modules_load() {
	modprobe -a loop dm-snapshot ext4 vfat isofs squashfs erofs overlay \
		zstd lz4 crc32c
}
check "modules of the stock kernel load" modules_load

loop_ext4() {
	local loop
	truncate -s 16M disk
	mkfs.ext4 -q disk
	loop=$(losetup -f --show disk)
	mkdir mnt
	mount "$loop" mnt
	echo hello >mnt/file
	umount mnt
	losetup -d "$loop"
	e2fsck -fn disk
}
check "ext4 on a loop device" loop_ext4

defer 'echo deferred-1'
defer echo 'deferred 2'

if [ "$CLOOPW_DISKS" != 0 ]; then
	d=$(disk 0)
	check "disk0 can be read" dd if="$d" of=copy bs=1M count=64 iflag=direct
	send copy disk0.copy
	d=$(disk 1)
	check "disk1 can be written" \
		dd if=copy of="$d" bs=64k conv=fsync status=none
	refuses "there is no disk9" 'no disk with serial disk9' disk 9
	check "udev starts" start_udev
	check "udev names the disk" \
		wait_for 5 test -b /dev/disk/by-id/virtio-disk0
fi
printf 'line\0no newline' >"odd name"
send "odd name"
bench_value smoke 1.5 s
