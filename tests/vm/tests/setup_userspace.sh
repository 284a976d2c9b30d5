# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The same image and COW file through the driver and without it, in turn: both
# have the same content, whoever wrote it. Without the driver by both ways.

defer 'cloopwsetup -D; rmmod nbd cloopw loop 2>/dev/null || :'
mkdir mnt
defer 'umount mnt 2>/dev/null || :'

truncate -s 64M raw
mkfs.ext4 -q -d /usr/lib/udev raw
mkcloopw -q raw image.cloopw

# change NUMBER DEVICE: the file system on it
change() {
	mount "$2" mnt
	cp -r /etc "mnt/etc$1"
	dd if=/dev/urandom of="mnt/data$1" bs=64k count=40 conv=fsync \
		status=none
	rm -rf "mnt/etc$(($1 - 1))"
	fstrim mnt
	umount mnt
}

sum() {
	sha256sum <"$1"
}

must "attach with the driver" \
	cloopwsetup -c cow /dev/cloopw0 image.cloopw
change 1 /dev/cloopw0
before=$(sum /dev/cloopw0)
must "detach" cloopwsetup -d /dev/cloopw0

# ---- content and extents: the driver's device and the plugin agree ----

must "attach with the driver" cloopwsetup -r -c cow /dev/cloopw0 image.cloopw
nbdkit -U "$PWD/socket" -P pid /usr/local/lib/nbdkit-cloopw-plugin.so \
	image=image.cloopw cow=cow readonly=true
uri="nbd+unix:///?socket=$PWD/socket"
check "nbdcopy has what the driver's device has" \
	test "$before" = "$(nbdcopy "$uri" - | sha256sum)"
nbdinfo --map "$uri" >map
check "the map has data and zeros" \
	sh -c 'grep -q hole,zero map && grep -q data map'
zeros_agree() {
	local begin length name
	while read -r begin length _ name; do
		[ "$name" != hole,zero ] ||
			cmp -n "$length" -i "$begin:0" /dev/cloopw0 /dev/zero ||
			return 1
	done <map
}
check "what it calls zeros is zeros in the driver's device" zeros_agree
check "and covers it all" sh -c \
	"awk '{ n += \$2 } END { exit n != $(blockdev --getsize64 /dev/cloopw0) }' map"
kill "$(cat pid)"
must "detach" cloopwsetup -d /dev/cloopw0

number=2
for way in nbd fuse; do
	device=$(cloopwsetup --userspace=$way --show -c cow image.cloopw)
	case $device in
	/dev/nbd* | /dev/loop*) ok "$way: attach, $device" ;;
	*) fail "$way: attach: $device" ;;
	esac
	check "$way: what the driver wrote is there" \
		test "$before" = "$(sum "$device")"
	change $number "$device"
	before=$(sum "$device")
	check "$way: is listed" sh -c \
		"cloopwsetup -l | grep -q '^$device .* ok\$'"
	must "$way: detach" cloopwsetup -d "$device"
	check "$way: no server is left" test -z "$(pidof nbdkit nbdfuse)"
	must "attach with the driver" \
		cloopwsetup -c cow /dev/cloopw0 image.cloopw
	check "the driver has what was written by $way" \
		test "$before" = "$(sum /dev/cloopw0)"
	check "and a sound file system" e2fsck -fn /dev/cloopw0
	change $((number + 1)) /dev/cloopw0
	before=$(sum /dev/cloopw0)
	must "detach" cloopwsetup -d /dev/cloopw0
	number=$((number + 2))
done

must "attach by the way there is" \
	cloopwsetup --userspace /dev/nbd3 image.cloopw
check "read-only without a COW" test "$(blockdev --getro /dev/nbd3)" = 1
check "the image" cmp -n "$(stat -c %s raw)" raw /dev/nbd3
refuses "the device is in use" 'in use' \
	cloopwsetup --userspace /dev/nbd3 image.cloopw
must "detach" cloopwsetup -d nbd3
must "attach with the driver" cloopwsetup -r /dev/cloopw0 image.cloopw
refuses "a device of the driver's" 'is a device of the driver' \
	cloopwsetup --userspace /dev/cloopw0 image.cloopw
must "detach" cloopwsetup -d /dev/cloopw0
