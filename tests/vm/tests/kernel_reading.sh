# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What is read of a medium: the blocks that are needed and no more, those of a
# stream many at a time.

must "the module loads" modprobe cloopw
defer rmmod cloopw
dev=/dev/cloopw0
medium=$(disk 0)
block=65536

mkfs.ext4 -q -F "$medium"
mkdir mnt
mount "$medium" mnt
defer umount mnt
head -c 24M /dev/urandom | base64 -w 0 >raw
truncate -s 32M raw
must "the image is made" mkcloopw -q -b $block raw mnt/image
stored=$(stat -c %s mnt/image)
must "attached" cloopwsetup -r $dev mnt/image
defer "cloopwsetup -d $dev"

# forget: all but the index, and begins to count
forget() {
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$dev of=/dev/null bs=4k count=1 iflag=direct status=none
	read -r requests_before _ sectors_before _ <"/sys/class/block/${medium##*/}/stat"
}
# count: sets requests and bytes
count() {
	read -r requests _ bytes _ <"/sys/class/block/${medium##*/}/stat"
	requests=$((requests - requests_before))
	bytes=$(((bytes - sectors_before) * 512))
	diag "$1: $requests requests, $((bytes / 1024)) KiB; the image has" \
		"$((stored / 1024))"
}

# Each next one is not far, as with the files of a directory.
forget
for ((i = 1; i < 512; i += 8)); do
	dd if=$dev of=/dev/null bs=4k count=1 skip=$((i * block / 4096)) \
		iflag=direct status=none
done
count "one block in eight"
# A block begins and ends within a page of the page cache.
check "one block in eight is read as such" test "$bytes" -lt \
	$((stored * 13 / 80 + 64 * ($(page_size) - 4096)))

# The best of some: how many are asked for together is a matter of who is first,
# the processor that asks or the one that serves. The host may be busy.
best=$stored
for ((i = 1; i <= 4 || (best >= 256 && i <= 32); i++)); do
	forget
	must "stream $i is read" dd if=$dev of=/dev/null bs=1M status=none
	count "stream $i"
	check "nothing of stream $i is read twice" test "$bytes" -lt $((stored * 11 / 10))
	[ "$requests" -ge "$best" ] || best=$requests
done
check "several blocks at a time" test "$best" -lt 256
same "and it is what was put in" raw $dev

# ---- the boot area ----

# A boot reads blocks from all over the image, in an order of its own.
for ((i = 0; i < 400; i++)); do
	echo $((i * 149 % 480))
done >order
must "the ordered image is made" mkcloopw -q -b $block --order order raw mnt/ordered
boot_bytes=$(cloopwck --quick --json mnt/ordered |
	sed -n 's/.*"boot_bytes": *\([0-9]*\).*/\1/p')

# replay IMAGE WHAT: sets requests and bytes
replay() {
	local number
	cloopwsetup -d $dev
	must "attached: $2" cloopwsetup -r $dev "$1"
	forget
	while read -r number; do
		dd if=$dev of=/dev/null bs=4k count=1 skip=$((number * block / 4096)) \
			iflag=direct status=none
	done <order
	count "$2"
}
replay mnt/image 'the boot of an image in no order'
check "without an order each block is a request" test "$requests" -ge 400
replay mnt/ordered 'the boot of an image in its order'
check "in its order a boot needs few requests" test "$requests" -lt 100
check "and reads little else" test "$bytes" -lt $((boot_bytes * 21 / 20 + (1 << 20)))
same "an ordered image has the same content" raw $dev
