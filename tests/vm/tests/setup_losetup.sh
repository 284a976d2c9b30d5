# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Programs made for loop, as they worked with cloop: losetup and busybox's, the
# ioctls behind them, and what lsblk and mount show.

must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
allow_console 'cloopw'
mkdir mnt
defer 'umount mnt 2>/dev/null || :'
truncate -s 8M raw
mkfs.ext4 -q -d /etc/mke2fs.conf raw 2>/dev/null || mkfs.ext4 -q raw
mkcloopw -q -F cloop2 raw image.cloop
inode=$(stat -c %i image.cloop)

# ---- util-linux ----

# It attaches; what it does besides it only does to devices named loop, and
# says so without having asked the driver.
with_losetup() {
	losetup /dev/cloopw1 image.cloop
	cmp raw /dev/cloopw1
	test "$(cat /sys/block/cloopw1/ro)" = 1
	test "$(cloopwsetup -n -O BACK-FILE,FORMAT /dev/cloopw1 -l)" = \
		"$PWD/image.cloop  cloop2"
	cloopwsetup -d /dev/cloopw1
}
check "losetup attaches a cloop image" with_losetup
losetup /dev/cloopw1 image.cloop
refuses "losetup -d wants a device named loop" 'failed to use device' \
	losetup -d /dev/cloopw1

# ---- lsblk, mount ----

shown() {
	mount -r /dev/cloopw1 mnt
	lsblk -n -o NAME,SIZE,RO,TYPE,MOUNTPOINT /dev/cloopw1 >tree
	cat tree
	grep -qE "^cloopw1 +8M +1 disk +$PWD/mnt\$" tree
	mount | grep -qF "/dev/cloopw1 on $PWD/mnt type ext4 (ro"
	test "$(findmnt -n -o SOURCE mnt)" = /dev/cloopw1
}
check "lsblk and mount show it" shown
refuses "what is mounted stays" 'EBUSY' cloopw-loop /dev/cloopw1 clear
umount mnt
check "LOOP_CLR_FD" cloopw-loop /dev/cloopw1 clear

partitions() {
	truncate -s 4M table
	printf '%s\n' 'label: dos' '2048,2048' '4096,' | sfdisk -q table
	losetup -r -P /dev/cloopw1 table
	lsblk -n -o NAME,TYPE /dev/cloopw1 >tree
	cat tree
	grep -q 'cloopw1p2 *part' tree
	cloopw-loop /dev/cloopw1 clear
}
check "losetup -P, and lsblk's tree" partitions

# ---- busybox ----

with_busybox() {
	busybox losetup /dev/cloopw2 image.cloop
	cmp raw /dev/cloopw2
	test "$(busybox losetup /dev/cloopw2)" = \
		"/dev/cloopw2: 0 $PWD/image.cloop"
	busybox losetup -d /dev/cloopw2
	busybox losetup -o 1048576 /dev/cloopw2 raw
	cmp /dev/cloopw2 <(tail -c +1048577 raw)
	busybox losetup -d /dev/cloopw2
	test "$(cat /sys/block/cloopw2/cloopw/state)" = idle
}
check "busybox losetup attaches, shows, detaches" with_busybox

# ---- the ioctls ----

all_structures() {
	cloopw-loop /dev/cloopw1 set-fd image.cloop
	cloopw-loop /dev/cloopw1 show >info
	cat info
	grep -qxF "64 1 $inode 0 0 1 $PWD/image.cloop" info
	grep -qxF "old 1 $inode 0 1 $PWD/image.cloop" info
	grep -qxF "32 1 $inode 0 1 $PWD/image.cloop" info
	cloopw-loop /dev/cloopw1 clear
}
check "LOOP_SET_FD; LOOP_GET_STATUS in each of its structures" all_structures

windows() {
	local window
	cloopw-loop /dev/cloopw1 configure raw 4096 8192 1
	test "$(blockdev --getsize64 /dev/cloopw1)" = 8192
	cloopw-loop /dev/cloopw1 show | grep -qF ' 4096 8192 1 '
	cloopw-loop /dev/cloopw1 window 512 1024
	cmp /dev/cloopw1 <(tail -c +513 raw | head -c 1024)
	for window in window-old window-32; do
		cloopw-loop /dev/cloopw1 $window 1048576
		cmp /dev/cloopw1 <(tail -c +1048577 raw)
		cloopw-loop /dev/cloopw1 $window 0
		cmp /dev/cloopw1 raw
	done
}
check "LOOP_CONFIGURE with a window; LOOP_SET_STATUS changes it" windows
refuses "a window behind the end leaves the old one" 'EINVAL' \
	cloopw-loop /dev/cloopw1 window 1073741824 0
same "which is there" raw /dev/cloopw1
refuses "one of half a sector" 'EINVAL' cloopw-loop /dev/cloopw1 window 100 0
refuses "attached twice" 'EBUSY' cloopw-loop /dev/cloopw1 set-fd image.cloop
capacity() {
	truncate -s 9M raw
	cloopw-loop /dev/cloopw1 capacity
	test "$(blockdev --getsize64 /dev/cloopw1)" = $((9 << 20))
}
check "LOOP_SET_CAPACITY" capacity
check "LOOP_CLR_FD again" cloopw-loop /dev/cloopw1 clear
refuses "of an idle device" 'ENXIO' cloopw-loop /dev/cloopw1 clear
refuses "status of an idle device" 'ENXIO' cloopw-loop /dev/cloopw1 show
refuses "autoclear is not there" 'EINVAL' \
	cloopw-loop /dev/cloopw1 configure raw 0 0 4
says_why() {
	dmesg | grep -qF 'cloopw1: it cannot be detached by itself'
}
check "and the kernel's log says why" says_why
with_cow() {
	cloopwsetup -c cow /dev/cloopw1 raw
	cloopw-loop /dev/cloopw1 show | grep -qF '64 1 '
	! cloopw-loop /dev/cloopw1 window 512 0 || return 1
	cmp raw /dev/cloopw1
	cloopw-loop /dev/cloopw1 clear
}
check "a device with a COW keeps its window" with_cow
