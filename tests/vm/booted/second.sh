# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The shutdown behind first.sh left all that was written, synced or not, and file systems
# that were unmounted.

check "cloopwtab: mounted by fstab" test "$(findmnt -n -o SOURCE /system)" = /dev/cloopw0
holds() { (cd "$2" && sha256sum --quiet -c "$1"); }
check "cloopwtab: all is there" holds /data/tab.sums /system
check "no file system needs its journal" bash -c '! dmesg | grep "recovery complete"'
modprobe -a nbd loop fuse
! grep -q ublk /data/ways || modprobe ublk_drv
read -ra ways </data/ways
for way in "${ways[@]}"; do
	must "$way: attached" bash -c \
		"cloopwsetup --userspace=$way --show -c /data/$way.cow /data/image >device"
	device=$(cat device)
	check "$way: the file system is clean" \
		test "$(dumpe2fs -h "$device" 2>&1 | grep -c 'needs_recovery')" = 0
	check "$way: and sound" e2fsck -fn "$device"
	mkdir -p "/mnt/$way"
	must "$way: mounted" mount "$device" "/mnt/$way"
	check "$way: all is there" holds "/data/$way.sums" "/mnt/$way"
	umount "/mnt/$way"
	must "$way: detached" cloopwsetup -d "$device"
	check "$way: cloopwck finds no fault" cloopwck -q -I raw "/data/$way.cow" /data/image
done
expect_console 'cloopw-vm: at the end is left: nothing'
