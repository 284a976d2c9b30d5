# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Images of Debian's create_compressed_fs, and ours for its counterpart.

modprobe cloopw
defer rmmod cloopw
mkdir mnt

mke2fs -q -t ext2 -d /cloopw plain 3M >/dev/null
# not a whole number of any of the blocks below
truncate -s $((3 * 1024 * 1024 - 512 * 7)) plain

# The old tool fills the last block with zeros.
padded() {
	cp plain padded
	truncate -s "%$1" padded
}

for block in 4096 65536 131072; do
	check "create_compressed_fs -B $block" \
		create_compressed_fs -B "$block" plain image.cloop
	check "attached, block size $block" \
		cloopwsetup -r /dev/cloopw0 image.cloop
	padded "$block"
	same "block size $block: byte for byte" padded /dev/cloopw0
	check "mounted" mount -o ro /dev/cloopw0 mnt
	check "files are the same" diff -r --no-dereference /cloopw/lib mnt/lib
	umount mnt
	cloopwsetup -d /dev/cloopw0

	check "mkcloopw --format cloop2 -b $block" \
		mkcloopw -q -f --format cloop2 -b "$block" plain ours.cloop
	check "extract_compressed_fs reads it" \
		extract_compressed_fs ours.cloop extracted
	same "extracted, block size $block" padded extracted
	rm -f extracted
done
