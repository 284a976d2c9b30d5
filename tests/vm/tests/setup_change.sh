# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# cloopwsetup of what is attached: --resize, growth, --flush, --set-cache, --stats, and
# --direct-io, on file systems that have it and on those that have not.

must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
modprobe loop
mkdir mnt disk
defer 'umount mnt disk 2>/dev/null || :'
attribute() {
	cat "/sys/block/cloopw0/cloopw/$1"
}

# ---- resize ----

size() {
	test "$(blockdev --getsize64 "$1")" = "$2"
}
resized() {
	head -c 1M /dev/urandom >raw
	cloopwsetup /dev/cloopw0 raw
	head -c 1M /dev/urandom >>raw
	size /dev/cloopw0 $((1 << 20))
	cloopwsetup --resize /dev/cloopw0
	size /dev/cloopw0 $((2 << 20))
	cmp raw /dev/cloopw0
	truncate -s 512K raw
	cloopwsetup --resize /dev/cloopw0
	size /dev/cloopw0 $((1 << 19))
	cmp raw /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -o 512 --sizelimit 1M /dev/cloopw0 raw
	truncate -s 4M raw
	cloopwsetup -v --resize /dev/cloopw0 2>&1 | grep -qF 'has 1048576 bytes'
	cloopwsetup -d /dev/cloopw0
}
check "--resize follows the file, within its window" resized
of_a_device() {
	local below
	below=$(losetup -f --show raw)
	cloopwsetup /dev/cloopw0 "$below"
	truncate -s 6M raw
	losetup -c "$below"
	cloopwsetup --resize /dev/cloopw0
	size /dev/cloopw0 $((6 << 20))
	cloopwsetup -d /dev/cloopw0
	losetup -d "$below"
}
check "--resize of a block device" of_a_device

# ---- the record of first reads ----

# The kernel itself reads more, such as a partition table.
recorded() {
	mkcloopw -q raw recorded.cloopw
	cloopwsetup --recording /dev/cloopw0 recorded.cloopw
	for block in 40 3 77; do
		dd if=/dev/cloopw0 of=/dev/null bs=64K skip=$block count=1 iflag=direct
	done
	cloopwsetup --record order /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	grep -q '^# blocks of 65536 bytes' order
	test "$(sed 's/\t.*//' order | grep -xE '40|3|77' | tr '\n' ' ')" = '40 3 77 '
}
check "--record tells the blocks in the order of their first read" recorded
ordered() {
	mkcloopw -q --order order recorded.cloopw ordered.cloopw
	cloopwsetup --direct-io=off /dev/cloopw0 ordered.cloopw
	dd if=/dev/cloopw0 of=/dev/null bs=64K skip=40 count=1 iflag=direct
	cmp raw /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "an image with a boot area reads the same" ordered
mkcloopw -q raw image.cloopw
cloopwsetup /dev/cloopw0 image.cloopw
refuses "--resize of a compressed image" \
	'image.cloopw: a cloopw image has the size it was made with; only a raw' \
	cloopwsetup --resize /dev/cloopw0
cloopwsetup -d /dev/cloopw0
cloopwsetup -c cow /dev/cloopw0 raw
refuses "--resize of what has a COW" \
	'cow: was made for a device of 6291456 bytes, and takes no other size' \
	cloopwsetup --resize /dev/cloopw0
cloopwsetup -d /dev/cloopw0

# ---- growth ----

truncate -s 32M small
mkfs.ext4 -q small
mkcloopw -q small small.cloopw
grown() {
	cloopwsetup -c grown.cow /dev/cloopw0 small.cloopw
	mount /dev/cloopw0 mnt
	cp /bin/bash mnt/before
	dd if=/dev/urandom of=mnt/writer bs=4k count=2000 conv=fsync status=none &
	cloopwsetup --resize 256M /dev/cloopw0
	size /dev/cloopw0 $((256 << 20))
	wait $!
	resize2fs /dev/cloopw0
	dd if=/dev/urandom of=mnt/after bs=1M count=100 conv=fsync status=none
	cmp /bin/bash mnt/before
	sha256sum mnt/after >sum
	umount mnt
	cloopwsetup -d /dev/cloopw0
}
check "a mounted device grows" grown
again() {
	cloopwsetup -c grown.cow /dev/cloopw0 small.cloopw
	size /dev/cloopw0 $((256 << 20))
	e2fsck -fn /dev/cloopw0
	mount -r /dev/cloopw0 mnt
	sha256sum -c sum
	umount mnt
}
check "the next attach has its size and data" again
refuses "a device does not shrink" 'cannot shrink to 134217728; make the file' \
	cloopwsetup --resize=128M /dev/cloopw0
frozen() {
	cloopwsetup --snapshot top.cow /dev/cloopw0
	cloopwsetup --resize=300M /dev/cloopw0
	size /dev/cloopw0 $((300 << 20))
	cloopwsetup -d /dev/cloopw0
	cloopwck -c top.cow -c grown.cow small.cloopw
	mkcloopw -q --cow top.cow small.cloopw long.cloopw
	cloopwsetup -c top.cow /dev/cloopw0 small.cloopw
	cloopwsetup /dev/cloopw1 long.cloopw
	size /dev/cloopw1 $((300 << 20))
	cmp /dev/cloopw0 /dev/cloopw1
	cloopwsetup -d /dev/cloopw0 /dev/cloopw1
}
check "a layer over it grows further; an image of all has it" frozen
at_attach() {
	cloopwsetup --resize=64M --ram /dev/cloopw0 small.cloopw
	size /dev/cloopw0 $((64 << 20))
	cloopwsetup -d /dev/cloopw0
	cloopwsetup --resize=310M -c top.cow /dev/cloopw0 small.cloopw
	size /dev/cloopw0 $((310 << 20))
	cloopwsetup -d /dev/cloopw0
}
check "an attach grows it" at_attach
# A snapshot puts a longer layer over one that was still written.
longer_layer() {
	local last=$(((96 << 20) / 4096 - 1))
	cloopwsetup --driver -c low.cow /dev/cloopw0 small.cloopw
	dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=4 oflag=direct status=none
	head -c 4M /dev/cloopw0 | sha256sum >low.sum
	cloopwsetup -d /dev/cloopw0
	cloopwsetup --driver -v --resize=96M -c high.cow -c low.cow /dev/cloopw0 small.cloopw
	size /dev/cloopw0 $((96 << 20))
	dd if=/dev/urandom of=/dev/cloopw0 bs=4k count=1 seek=$last oflag=direct status=none
	dd if=/dev/cloopw0 bs=4k count=1 skip=$last iflag=direct status=none | sha256sum >high.sum
	[ "$(cat high.sum)" != "$(head -c 4096 /dev/zero | sha256sum)" ]
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c high.cow /dev/cloopw0 small.cloopw
	size /dev/cloopw0 $((96 << 20))
	head -c 4M /dev/cloopw0 | sha256sum | cmp - low.sum
	dd if=/dev/cloopw0 bs=4k count=1 skip=$last iflag=direct status=none |
		sha256sum | cmp - high.sum
	cloopwsetup -d /dev/cloopw0
	cloopwck -c high.cow -c low.cow small.cloopw
}
check "a snapshot's longer layer gives the disk its size" longer_layer

# ---- flush ----

flushed() {
	truncate -s 32M fs
	mkfs.ext4 -q fs
	cloopwsetup -c fs.cow /dev/cloopw0 fs
	mount /dev/cloopw0 mnt
	cp /bin/bash mnt/program
	cloopwsetup --flush /dev/cloopw0
	# as after a crash at this moment
	cp fs.cow crashed.cow
	cloopwsetup -c crashed.cow /dev/cloopw1 fs
	mkdir crashed
	mount /dev/cloopw1 crashed
	cmp /bin/bash crashed/program
	umount crashed mnt
	cloopwsetup -d /dev/cloopw0 /dev/cloopw1
}
check "--flush stores what a mounted file system holds" flushed

# ---- the cache ----

cache() {
	cloopwsetup --cache 8M /dev/cloopw0 image.cloopw
	dd if=/dev/cloopw0 of=/dev/null bs=4k status=none
	cloopwsetup --set-cache 64K /dev/cloopw0
	test "$(attribute cache_limit)" = 65536
	dd if=/dev/cloopw0 of=/dev/null bs=4k status=none iflag=direct
	test "$(attribute cache_bytes)" -le 262144
	! echo -1 >/sys/block/cloopw0/cloopw/cache_limit || return 1
	! echo much >/sys/block/cloopw0/cloopw/cache_limit || return 1
	test "$(attribute cache_limit)" = 65536
	cloopwsetup -d /dev/cloopw0
}
check "--set-cache" cache

# ---- stats ----

read_on() {
	while :; do
		dd if=/dev/cloopw0 of=/dev/null bs=64k iflag=direct status=none
	done
}
stats() {
	local reader
	cloopwsetup /dev/cloopw0 image.cloopw
	read_on &
	reader=$!
	cloopwsetup --stats=0.5,3 /dev/cloopw0 >table
	cat table
	test "$(grep -c 'read-only$' table)" = 3
	head -n 1 table | grep -qE 'READ/s +WRITE/s .* HIT% +RATIO .* STATE'
	grep -qE '^ +[1-9][0-9.]* [KMG]iB +0 B +[1-9]' table
	cloopwsetup --stats=1,2 --json /dev/cloopw0 >lines
	kill $reader
	wait $reader || :
	cat lines
	test "$(wc -l <lines)" = 2
	grep -qE '"reads_per_second":[1-9]' lines
	(
		sleep 1
		cloopwsetup -d /dev/cloopw0
	) &
	cloopwsetup --stats=0.2 /dev/cloopw0 >/dev/null
	wait
}
check "--stats, and its end when it is detached" stats

# ---- direct I/O ----

truncate -s 200M disk.img
mkfs.ext4 -q disk.img
mount -o loop disk.img disk
{
	head -c 5M /dev/urandom
	tar c /usr/bin /usr/lib 2>/dev/null | head -c 15M || :
	head -c 1001 /dev/urandom
} >plain
mkcloopw -q plain disk/image.cloopw
mkcloopw -q -F cloop2 plain disk/image.cloop
cp plain disk/plain

# cached FILE: how much of it is in the page cache, in pages
cached() {
	fincore -n -o PAGES "$1"
}
forget() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}
direct() {
	local image=$1
	forget
	cloopwsetup --direct-io /dev/cloopw0 "$image"
	test "$(attribute dio)$(attribute drop_behind)" = 10
	test "$(cloopwsetup -n -O DIO /dev/cloopw0 -l)" = 1
	cmp -n "$(stat -c %s plain)" plain /dev/cloopw0
	test "$(cached "$image")" -lt 8
	cloopwsetup --direct-io=off /dev/cloopw0
	test "$(attribute dio)" = 0
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n "$(stat -c %s plain)" plain /dev/cloopw0
	test "$(cached "$image")" -gt 1000
	cloopwsetup --direct-io=on /dev/cloopw0
	cmp -n "$(stat -c %s plain)" plain /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "--direct-io leaves no page of a cloopw image in the cache" \
	direct disk/image.cloopw
check "--direct-io leaves no page of a cloop image in the cache" \
	direct disk/image.cloop
check "--direct-io leaves no page of a raw image in the cache" \
	direct disk/plain

at_an_offset() {
	{
		head -c 1536 /dev/urandom
		cat disk/image.cloopw
	} >disk/shifted
	cloopwsetup --direct-io -o 1536 /dev/cloopw0 disk/shifted
	test "$(attribute dio)" = 1
	cmp -n "$(stat -c %s plain)" plain /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	tail -c +513 plain >expected
	cloopwsetup --direct-io -o 512 /dev/cloopw0 disk/plain
	cmp -n "$(stat -c %s expected)" expected /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "--direct-io of images that begin anywhere" at_an_offset

with_a_cow() {
	cloopwsetup --direct-io -c disk/cow /dev/cloopw0 disk/image.cloopw
	mkfs.ext4 -q -F /dev/cloopw0
	e2fsck -fn /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "--direct-io under a COW" with_a_cow

# squashfs has none
without() {
	local pages=$(($(stat -c %s image.cloopw) / 4096))
	forget
	cloopwsetup -v --direct-io /dev/cloopw0 mnt/image.cloopw 2>said
	cat said
	grep -qF 'has no direct I/O; what was read is dropped' said
	test "$(attribute dio)$(attribute drop_behind)" = 01
	cmp -n "$(stat -c %s plain)" plain /dev/cloopw0
	# What squashfs reads around a place that is wanted stays: its blocks
	# have 128 KiB, and the folios of 6.12 are dropped as a whole or not.
	echo "$(cached mnt/image.cloopw) pages cached"
	test "$(cached mnt/image.cloopw)" -lt $((pages / 2))
	! cloopw-loop /dev/cloopw0 direct 1 || return 1
	cloopwsetup -d /dev/cloopw0
}
cp disk/image.cloopw .
mksquashfs image.cloopw squash -quiet -noD -noF -noI >/dev/null
mount -o loop squash mnt
check "without direct I/O what was read is dropped" without

speed() {
	local mode image start
	for image in disk/image.cloopw disk/plain; do
		for mode in off on; do
			forget
			cloopwsetup --direct-io=$mode /dev/cloopw0 "$image"
			start=${EPOCHREALTIME/[.,]/}
			dd if=/dev/cloopw0 of=/dev/null bs=1M status=none
			echo "$image direct=$mode" \
				"$(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms," \
				"$(cached "$image") pages of it cached"
			cloopwsetup -d /dev/cloopw0
		done
	done | tee figures
	grep -q 'direct=on' figures
}
check "reads either way" speed
diag "$(cat figures)"
