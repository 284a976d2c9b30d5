# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# cloopwsetup: what a user does with it, in the order of a life: the module that
# comes by itself, attach, use, detach, attach again, lists, options.

defer 'cloopwsetup -D; rmmod cloopw loop 2>/dev/null || :'
mkdir mnt
defer 'umount mnt 2>/dev/null || :'

# lines WORD BYTES: so many bytes of lines with the word
lines() {
	head -c "$2" <(yes "$1")
}

# put WORD BLOCKS DEVICE: that, in blocks of 4 KiB, at the start of the device
put() {
	lines "$1" $(($2 * 4096)) | dd of="$3" bs=4k iflag=fullblock \
		conv=fsync,notrunc status=none
}

# ---- without the module ----

lists_nothing() {
	test -z "$(cloopwsetup)"
	test -z "$(cloopwsetup -l)"
	cloopwsetup --json | tr -d ' \n' | grep -qxF '{"cloopwdevices":[]}'
}
check "lists nothing without the module" lists_nothing
is_loaded() {
	test -d /sys/module/cloopw
}
if is_builtin cloopw; then
	check "the driver is built in" is_loaded
else
	check "and that does not load it" test ! -e /sys/module/cloopw
fi

# ---- attach, use, detach, attach again ----

truncate -s 24M raw
mkfs.ext4 -q -d /etc raw
mkcloopw -q -c lz4 raw image.cloopw
cp image.cloopw before

must "attach loads the module and makes the COW file" \
	cloopwsetup -v -c cow --cow-format uml /dev/cloopw0 image.cloopw
check "module came" is_loaded
is_sparse() {
	test "$(stat -c %s cow)" -gt $((24 << 20))
	test "$(stat -c %b cow)" -lt 100
}
check "COW file is as long as the device and sparse" is_sparse
same "reads as the image" raw /dev/cloopw0

must "mount" mount /dev/cloopw0 mnt
write_files() {
	cp -r /bin/bash mnt/program
	echo first >mnt/text
	sync
}
check "write" write_files
must "unmount" umount mnt
must "detach" cloopwsetup -d /dev/cloopw0
same "the image is as before" before image.cloopw
refuses "is detached" 'has no image' cloopwsetup -d /dev/cloopw0

must "attach again to another device" cloopwsetup -c cow cloopw3 image.cloopw
must "mount again" mount /dev/cloopw3 mnt
same "the file is there" /bin/bash mnt/program
check "the text is there" grep -qx first mnt/text
must "unmount again" umount mnt
check "file system is clean" e2fsck -fn /dev/cloopw3
must "detach again" cloopwsetup -d /dev/cloopw3

# ---- files that have lost their names ----

cp image.cloopw gone.cloopw
must "attach what will be removed" \
	cloopwsetup -c gone.cow /dev/cloopw4 gone.cloopw
names() {
	cloopwsetup -n --raw -O image,cow /dev/cloopw4
}
is_named() {
	test "$(names)" = "$1"
}
check "with its names" is_named "$PWD/gone.cloopw $PWD/gone.cow"
rm gone.cloopw gone.cow
check "and without them" \
	is_named "$PWD/gone.cloopw\\x20(deleted) $PWD/gone.cow\\x20(deleted)"
must "detach it" cloopwsetup -d /dev/cloopw4

# ---- the COW file is the one of User-mode Linux ----

same_as_uml_mkcow() {
	local base=$1 all=()
	rm -f mine theirs
	# what it aligns to the kernel's pages begins behind these bytes
	[ "$(page_size)" = 4096 ] || all=(-n 24)
	cloopwsetup --cow-format uml -c mine /dev/cloopw0 "$base"
	cloopwsetup -d /dev/cloopw0
	uml_mkcow theirs "$base"
	cmp "${all[@]}" mine theirs
}
check "as uml_mkcow makes it" same_as_uml_mkcow raw
mkdir sub
ln -s ../raw sub/link
check "as uml_mkcow makes it, through a link" same_as_uml_mkcow sub/../sub/link
modprobe loop
loop=$(losetup -f --show raw)
defer "losetup -d $loop 2>/dev/null || :"
check "as uml_mkcow makes it, for a block device" same_as_uml_mkcow "$loop"

takes_umls() {
	rm -f theirs
	uml_mkcow theirs raw
	cloopwsetup -c theirs /dev/cloopw0 raw
	echo changed | dd of=/dev/cloopw0 bs=512 seek=100 conv=fsync,notrunc status=none
	cloopwsetup -d /dev/cloopw0
	uml_moo -b raw theirs merged
	cloopwsetup -c theirs /dev/cloopw0 raw
	cmp merged /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	! cmp -s merged raw
}
check "takes the file of uml_mkcow, gives uml_moo its own" takes_umls

# A COW of a block device holds after the time of the node has changed
blockdev_cow() {
	rm -f cow2
	cloopwsetup -c cow2 /dev/cloopw0 "$loop"
	cloopwsetup -d /dev/cloopw0
	touch -d 2001-01-01 "$loop"
	cloopwsetup -c cow2 /dev/cloopw0 "$loop"
	cloopwsetup -d /dev/cloopw0
}
check "COW of a block device whose node was touched" blockdev_cow

# ---- layers ----

layers() {
	rm -f top lower
	cloopwsetup -c lower /dev/cloopw0 raw
	put lower 2 /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c top -c lower /dev/cloopw0 raw
	cp --sparse=always lower frozen
	put top 1 /dev/cloopw0
	{
		lines top 4096
		lines lower 8192 | tail -c 4096
		tail -c +8193 raw
	} >expected
	cmp expected /dev/cloopw0
	test "$(cat /sys/block/cloopw0/cloopw/layers/*/path)" = "$PWD/top
$PWD/lower"
	cloopwsetup -d /dev/cloopw0
	cmp lower frozen
}
check "the first -c is the top, the other is not written" layers

# ---- the compressed COW ----

cow_log() {
	local base=$1
	rm -f log
	cloopwsetup -c log /dev/cloopw0 "$base"
	test "$(cat /sys/block/cloopw0/cloopw/layers/0/format)" = log
	# some segments are kept free; it is not as long as the device
	test "$(stat -c %s log)" -lt $((8 << 20))
	put text 4096 /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	# lines of one word shrink far below a quarter
	stat -c '%s bytes, %b blocks' log
	test "$(($(stat -c %b log) * 512))" -lt $((8 << 20))
	cloopwsetup -c log /dev/cloopw1 "$base"
	cmp -n $((16 << 20)) <(lines text $((16 << 20))) /dev/cloopw1
	cmp -i $((16 << 20)) raw /dev/cloopw1
	cloopwsetup -d /dev/cloopw1
}
check "a COW log over an image" cow_log image.cloopw
check "a COW log over a block device" cow_log "$loop"

# ---- which device ----

find_and_show() {
	local device
	device=$(cloopwsetup -f --show image.cloopw)
	test "$device" = /dev/cloopw0
	device=$(cloopwsetup -f)
	test "$device" = /dev/cloopw1
	device=$(cloopwsetup -f --show -c cow image.cloopw)
	test "$device" = /dev/cloopw1
	cmp raw /dev/cloopw0
}
check "-f --show" find_and_show
check "adds a device that is missing" cloopwsetup /dev/cloopw12 raw
same "which can be read" raw /dev/cloopw12

more_than_the_module_made() {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		cloopwsetup -f raw
	done
	test -b /dev/cloopw8
}
check "-f adds a device when all are taken" more_than_the_module_made

# ---- lists ----

table() {
	cloopwsetup -l >table
	cat table
	head -n 1 table | grep -qE '^NAME +SIZE +RO +IMAGE +FORMAT +COW +RATIO'
	grep -qE "^/dev/cloopw0 +24.0 MiB +1 +$PWD/image.cloopw +cloopw " table
	grep -qE "^/dev/cloopw1 +24.0 MiB +0 +$PWD/image.cloopw +cloopw +$PWD/cow " table
	grep -qE "^/dev/cloopw12 +24.0 MiB +1 +$PWD/raw +raw " table
	cmp table <(cloopwsetup)
	test "$(cloopwsetup -n -O name,format /dev/cloopw0 -l)" = "/dev/cloopw0  cloopw"
}
check "the table" table

json() {
	cloopwsetup --json --output-all -l /dev/cloopw1 >json
	cat json
	grep -qF '"name": "/dev/cloopw1"' json
	grep -qF "\"size\": $((24 << 20))," json
	grep -qF '"ro": false' json
	grep -qE '"ratio": [0-9]+\.?[0-9]*,' json
	tr -d ' \n' <json | grep -qF "\"cow\":[\"$PWD/cow\"]"
	grep -qE '"uuid": "[0-9a-f-]{36}"' json
	test "$(cloopwsetup -J | grep -c '"name"')" = "$(cloopwsetup -n | wc -l)"
}
check "JSON" json

status_of_one() {
	cloopwsetup /dev/cloopw1 >status
	cat status
	grep -qxF 'name: /dev/cloopw1' status
	grep -qxF "size: $((24 << 20)) (24.0 MiB)" status
	grep -qxF "cow: $PWD/cow" status
	grep -qxF 'cow_format: uml' status
	grep -qxF 'state: ok' status
	! grep -vE '^[a-z_]+: .' status
}
check "status of one" status_of_one

associated() {
	test "$(cloopwsetup -n -O NAME -j image.cloopw)" = "/dev/cloopw0
/dev/cloopw1"
	test "$(cloopwsetup -n -O NAME -j cow)" = /dev/cloopw1
	mv raw moved
	test "$(cloopwsetup -n -O NAME -j moved | head -n 1)" = /dev/cloopw2
	mv moved raw
	test -z "$(cloopwsetup -j table)"
}
check "-j finds image and COW, also renamed" associated

check "detach all" cloopwsetup -D
check "all are gone" test -z "$(cloopwsetup)"

# ---- options ----

read_only() {
	cloopwsetup -r -c cow /dev/cloopw0 image.cloopw
	test "$(cat /sys/block/cloopw0/ro)" = 1
	! dd if=/dev/zero of=/dev/cloopw0 bs=4k count=1 2>/dev/null || return 1
	mount -o ro,noload /dev/cloopw0 mnt
	grep -qx first mnt/text
	umount mnt
	cloopwsetup -d /dev/cloopw0
}
cp --sparse=always -p cow cow.before
check "-r" read_only
same "-r writes nothing" cow.before cow

window() {
	cloopwsetup -o 1M --sizelimit 2M /dev/cloopw0 raw
	test "$(blockdev --getsize64 /dev/cloopw0)" = $((2 << 20))
	cmp /dev/cloopw0 <(tail -c +$(((1 << 20) + 1)) raw | head -c 2M || :)
	cloopwsetup -d /dev/cloopw0
	{
		head -c 4096 /dev/urandom
		cat image.cloopw
	} >shifted
	cloopwsetup -c shifted.cow -o 4K /dev/cloopw0 shifted
	cmp raw /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c shifted.cow -o 4K /dev/cloopw0 shifted
	cloopwsetup -d /dev/cloopw0
}
check "-o and --sizelimit" window

odd_size() {
	head -c 1000001 raw >odd
	cloopwsetup -c odd.cow /dev/cloopw0 odd
	test "$(blockdev --getsize64 /dev/cloopw0)" = $((1954 * 512))
	cmp -n 1000001 odd /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c odd.cow /dev/cloopw0 odd
	cloopwsetup -d /dev/cloopw0
}
check "a size that is not whole in sectors" odd_size

partitions() {
	truncate -s 16M table.img
	printf '%s\n' 'label: dos' '2048,8192' '10240,' | sfdisk -q table.img
	dd if=raw of=table.img bs=1M seek=1 count=4 conv=notrunc status=none
	mkcloopw -q table.img table.cloopw
	cloopwsetup /dev/cloopw0 table.cloopw
	test ! -e /sys/block/cloopw0/cloopw0p1
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -P -c table.cow /dev/cloopw0 table.cloopw
	cmp <(head -c 4M raw) /dev/cloopw0p1
	test -b /dev/cloopw0p2
	cloopwsetup -d /dev/cloopw0
	test ! -e /sys/block/cloopw0/cloopw0p1
}
check "-P shows partitions" partitions

cache() {
	cloopwsetup --cache 3M /dev/cloopw0 image.cloopw
	test "$(cat /sys/block/cloopw0/cloopw/cache_limit)" = $((3 << 20))
	cloopwsetup -d /dev/cloopw0
}
check "--cache" cache

cloop_format() {
	mkcloopw -q -F cloop2 raw image.cloop
	cloopwsetup /dev/cloopw0 image.cloop
	cmp raw /dev/cloopw0
	test "$(cloopwsetup -n -O FORMAT /dev/cloopw0)" = cloop2
	cloopwsetup -d /dev/cloopw0
	cloopwsetup --format raw /dev/cloopw0 image.cloop
	cmp -n "$(stat -c %s image.cloop)" image.cloop /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "cloop images, and their bytes with --format raw" cloop_format

# ---- file systems that know less ----

on_vfat() {
	truncate -s 100M fat.img
	mkfs.vfat fat.img >/dev/null
	mkdir fat
	mount -o loop fat.img fat
	cp image.cloopw fat/image.cloopw
	cloopwsetup -c fat/cow /dev/cloopw0 fat/image.cloopw
	put x 3 /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	umount fat
	mount -o loop fat.img fat
	cloopwsetup -c fat/cow /dev/cloopw0 fat/image.cloopw
	cmp -n 12288 /dev/cloopw0 <(lines x 12288)
	cloopwsetup -d /dev/cloopw0
	test "$(find fat -type f | sort | tr '\n' ' ')" = "fat/cow fat/image.cloopw "
	umount fat
}
defer 'umount fat 2>/dev/null || :'
check "image and COW on vfat" on_vfat

# ---- with udev ----

with_udev() {
	local i device
	start_udev
	for i in 1 2 3 4 5 6 7 8; do
		device=$(cloopwsetup -f --show -P -c "cow.$i" table.cloopw)
		test -b "${device}p1"
		cloopwsetup -d "$device"
	done
	cloopwsetup /dev/cloopw20 raw
	cmp raw /dev/cloopw20
	cloopwsetup -d /dev/cloopw20
	udevadm settle
}
check "attach and detach while udev looks at everything" with_udev
check "nothing is left" test -z "$(cloopwsetup)"
