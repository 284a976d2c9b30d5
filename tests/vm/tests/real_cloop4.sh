# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# cloop V4.0 with the header first and last and each of its codecs, and V0.68,
# read by the kernel's own decompressors.

modprobe cloopw
defer rmmod cloopw
mkdir mnt

mke2fs -q -t ext2 -d /cloopw plain 3M >/dev/null

# attached LABEL IMAGE: it is what plain is, and its file system mounts
attached() {
	check "$1: attached" cloopwsetup -r /dev/cloopw0 "$2"
	same "$1: byte for byte" plain /dev/cloopw0
	check "$1: mounted" mount -o ro /dev/cloopw0 mnt
	check "$1: files are the same" diff -r --no-dereference /cloopw/lib mnt/lib
	umount mnt
	cloopwsetup -d /dev/cloopw0
}

for version in V4.0 V4.0-last; do
	for codec in zlib none xz lz4 lzo; do
		make-old-cloop "$version" 65536 "$codec" plain image.cloop
		attached "$version $codec" image.cloop
	done
	make-old-cloop "$version" 4096 zlib,none,xz,lz4,lzo plain image.cloop
	attached "$version of all codecs" image.cloop
done

make-old-cloop V0.68 65536 zlib plain image.cloop
attached V0.68 image.cloop

# A block that lies: the others can be read.
make-old-cloop V4.0 65536 xz plain image.cloop
at=$(od -An -t u4 --endian=big -j 140 -N 4 image.cloop)
printf '\377\377\377\377\377\377\377\377' |
	dd of=image.cloop bs=1 seek=$((at + 16)) conv=notrunc status=none
allow_console 'cloopw: .*block 0 at offset'
allow_console 'I/O error, dev cloopw0'
must "damaged: attached" cloopwsetup -r /dev/cloopw0 image.cloop
refuses "damaged: its block cannot be read" 'Input/output error' \
	dd if=/dev/cloopw0 of=/dev/null bs=64k count=1 iflag=direct
tail -c +65537 plain >rest
check "damaged: the rest can" dd if=/dev/cloopw0 of=got bs=64k skip=1 \
	iflag=direct status=none
same "damaged: the rest is right" rest got
cloopwsetup -d /dev/cloopw0
