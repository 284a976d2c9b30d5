# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Writing through a UML COW file: file systems, verified random writes, what stays
# after detaching, and the errors of a full or read-only backing.

must "the module loads" modprobe -a cloopw loop
defer rmmod cloopw

dev=/dev/cloopw0
sys=/sys/block/cloopw0
attached() { defer "cloopwsetup -d $dev 2>/dev/null || :"; }

truncate -s 64M raw
# Blocks smaller than pages: requests are put together from parts of pages.
mkfs.ext4 -q -F -b 1024 raw
mkdir mnt
mount -o loop raw mnt
cp /usr/bin/b* mnt/
umount mnt
mkcloopw -q raw image
before=$(sha256sum <image)

must "attach" cloopwsetup -c cow --cow-format uml "$dev" image
attached

limits() {
	test "$(cat $sys/ro)" = 0
	test "$(cat $sys/queue/write_cache)" = "write back"
	test "$(cat $sys/queue/fua)" = 1
	test "$(cat $sys/cloopw/read_only)" = 0
	test "$(cat $sys/cloopw/layers/0/path)" = "$PWD/cow"
	test "$(cat $sys/cloopw/layers/0/format)" = uml
}
check "limits and sysfs" limits
same "it begins as the image" raw "$dev"

use() {
	mount "$dev" mnt
	cp -a /usr/sbin mnt/
	diff -r /usr/sbin mnt/sbin
	rm mnt/b*
	dd if=/dev/urandom of=mnt/random bs=7k count=500 conv=fsync status=none
	sha256sum mnt/random >sum
	fstrim mnt 2>/dev/null || :
	umount mnt
}
check "an ext4 in use" use
refuses_mounted() {
	local status=0
	mount "$dev" mnt
	cloopwsetup -d "$dev" || status=$?
	umount mnt
	return $status
}
refuses "no detach while mounted" 'mounted|busy|in use' refuses_mounted
must "detach" cloopwsetup -d "$dev"
check "the image is as before" test "$(sha256sum <image)" = "$before"

must "attach again" cloopwsetup -c cow "$dev" image
attached
check "e2fsck" e2fsck -fn "$dev"
again() {
	mount -o ro "$dev" mnt
	sha256sum -c sum
	diff -r /usr/sbin mnt/sbin
	umount mnt
}
check "the changes are there" again
must "detach again" cloopwsetup -d "$dev"

must "attach read-only" cloopwsetup -r -c cow "$dev" image
attached
cow_before=$(sha256sum <cow)
check "the changes are there read-only" again
refuses "no write" 'ermitted|ead-only|denied' \
	dd if=/dev/zero of="$dev" bs=4k count=1 conv=notrunc,fsync
must "detach read-only" cloopwsetup -d "$dev"
check "nothing was written" test "$(sha256sum <cow)" = "$cow_before"

# ---- verified writes ----

truncate -s 48M base
mkcloopw -q base image2
verify() {
	fio --name=verify --filename="$dev" --rw="$1" --bsrange="$2" \
		--bs_unaligned=0 --direct="$3" --ioengine="$4" --iodepth=16 \
		--size=48M --io_size="$5" --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --fsync=64 --minimal >/dev/null
}
must "attach for fio" cloopwsetup -c cow2 --cow-format uml "$dev" image2
attached
check "fio: 4k random, direct" verify randwrite 4k-4k 1 libaio 24M
check "fio: mixed sizes, direct" verify randwrite 512-128k 1 libaio 48M
check "fio: sequential, buffered" verify write 64k-64k 0 psync 48M
check "no errors" test "$(cat $sys/cloopw/write_errors $sys/cloopw/read_errors)" = $'0\n0'
must "detach after fio" cloopwsetup -d "$dev"

# ---- a COW file is one device's ----

must "attach with a COW" cloopwsetup -c cow "$dev" image
attached
refuses "the same COW twice" 'use' cloopwsetup -c cow /dev/cloopw1 image
check "the same image twice" cloopwsetup -r /dev/cloopw1 image
check "detach it" cloopwsetup -d /dev/cloopw1
must "detach the first" cloopwsetup -d "$dev"

# ---- no room left for the COW ----

mkdir small
mount -t tmpfs -o size=6M tmpfs small
defer umount small
must "attach with little room" \
	cloopwsetup -c small/cow --cow-format uml "$dev" image2
attached
allow_console 'I/O error|lost async page write|cloopw'
refuses "a write fails when it is full" 'No space|Input/output' \
	dd if=/dev/urandom of="$dev" bs=64k count=256 oflag=direct status=none
check "reads go on" dd if="$dev" of=/dev/null bs=1M status=none
check "errors are counted" test "$(cat $sys/cloopw/write_errors)" -gt 0
mount -o remount,size=64M small
check "writes go on when there is room" \
	dd if=/dev/urandom of="$dev" bs=64k count=256 oflag=direct status=none
must "detach the small one" cloopwsetup -d "$dev"
