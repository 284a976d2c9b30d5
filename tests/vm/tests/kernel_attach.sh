# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, attach and detach run against each other
#
# The driver's main job: images of each format read as they were, at any size
# and alignment of request; limits and sysfs say what is attached.

must "the module loads" modprobe -a cloopw loop
defer rmmod cloopw

dev=/dev/cloopw0
sys=/sys/block/cloopw0
attached() { defer "cloopwsetup -d $dev 2>/dev/null || :"; }

made_at_start() {
	test -c /dev/cloopw-control
	test "$(echo /dev/cloopw[0-9])" = "$(echo /dev/cloopw{0..7})"
	test "$(cat $sys/cloopw/state)" = idle
	test -z "$(cat $sys/cloopw/image)"
	test -z "$(ls $sys/cloopw/layers)"
	test "$(blockdev --getsize64 $dev)" = 0
}
check "eight idle devices" made_at_start

# An image of compressible, incompressible and zero data, not whole in sectors. It
# does not begin as the archive that is in it: that is refused.
{
	head -c 4096 /dev/urandom
	tar -C / -c usr/bin usr/sbin 2>/dev/null | head -c 3000000
	head -c 1500000 /dev/urandom
	head -c 1000000 /dev/zero
	tar -C / -c usr/lib 2>/dev/null | head -c 1000007
} >raw || :
size=$(stat -c %s raw)
cp raw expected # zeros up to what the image's format counts in

mkcloopw -q raw native.zstd
mkcloopw -q -c lz4 -b 4K raw native.lz4
mkcloopw -q -c lz4hc -b 128K raw native.lz4hc
mkcloopw -q -c zlib -b 1M raw native.zlib
mkcloopw -q -F cloop2 raw cloop2

# Many requests at once, of sizes and places that fit nothing
reads_same() {
	local bs
	cmp expected "$dev"
	echo 3 >/proc/sys/vm/drop_caches
	for bs in 512 3584 61440 1M; do
		dd if="$dev" iflag=direct bs=$bs status=none | cmp - expected
	done
	fio --name=read --filename="$dev" --readonly --rw=randread \
		--direct=1 --ioengine=libaio --iodepth=16 --size=6M \
		--bsrange=512-300k --bs_unaligned=0 --io_size=6M \
		--minimal >/dev/null
}

limits() {
	local q=$sys/queue cluster=$1
	test "$(cat $q/logical_block_size) $(cat $q/physical_block_size)" = "512 4096"
	test "$(cat $q/rotational) $(cat $sys/ro)" = "0 1"
	test "$(cat $q/write_cache)" = "write through"
	test "$(cat $q/discard_max_bytes) $(cat $q/write_zeroes_max_bytes)" = "0 0"
	test "$(cat $q/chunk_sectors)" = $((cluster > 4096 ? cluster / 512 : 0))
	test "$(cat $q/read_ahead_kb)" -ge 512
	test "$(cat $q/read_ahead_kb)" -ge $((cluster * 4 / 1024))
}

says() {
	test "$(cat $sys/cloopw/state)" = read-only
	test "$(cat $sys/cloopw/image)" = "$PWD/$1"
	test "$(cat $sys/cloopw/image_format)" = "$2"
	test "$(cat $sys/cloopw/codecs)" = "$3"
	test "$(cat $sys/cloopw/block_size)" = "$4"
	test "$(cat $sys/cloopw/size)" = "$5"
	test "$(cat $sys/cloopw/read_only)" = 1
	test -z "$(ls $sys/cloopw/layers)"
	# every file can be read
	grep -r . $sys/cloopw >/dev/null
}

while read -r image format codecs block unit; do
	bytes=$(((size + unit - 1) / unit * unit))
	truncate -s $(((bytes + 511) / 512 * 512)) expected
	must "$image: attach" cloopwsetup -r "$dev" "$image"
	attached
	check "$image: sysfs" says "$image" "$format" \
		"$(tr -d - <<<"${codecs//,/ }")" "$block" "$bytes"
	check "$image: limits" limits "$block"
	check "$image: reads the same" reads_same
	must "$image: detach" cloopwsetup -d "$dev"
	check "$image: idle again" made_at_start
done <<-END
	raw raw - 0 1
	native.zstd cloopw none,zstd 65536 1
	native.lz4 cloopw none,lz4 4096 1
	native.lz4hc cloopw none,lz4 131072 1
	native.zlib cloopw none,zlib 1048576 1
	cloop2 cloop2 zlib 65536 65536
END

truncate -s $(((size + 511) / 512 * 512)) expected

# ---- a window of a file, and a block device behind it ----

head -c 1536 /dev/urandom >shifted
{ cat shifted; cat native.zstd; echo rubbish; } >window
must "window: attach" cloopwsetup -r -o 1536 \
	--sizelimit "$(stat -c %s native.zstd)" "$dev" window
attached
same "window: reads the same" expected "$dev"
must "window: detach" cloopwsetup -d "$dev"
rm -f shifted window

truncate -s 32M disk
dd if=native.zstd of=disk conv=notrunc status=none
loop=$(losetup -f --show disk)
defer losetup -d "$loop"
must "block device: attach" cloopwsetup -r "$dev" "$loop"
attached
same "block device: reads the same" expected "$dev"
must "block device: detach" cloopwsetup -d "$dev"

# ---- one cloopw on another ----

truncate -s 20M outer
dd if=native.lz4 of=outer conv=notrunc status=none
mkcloopw -q outer outer.cloopw
must "stacked: attach the lower" cloopwsetup -r /dev/cloopw1 outer.cloopw
defer "cloopwsetup -d /dev/cloopw1 2>/dev/null || :"
must "stacked: attach the upper" cloopwsetup -r "$dev" /dev/cloopw1
attached
same "stacked: reads the same" expected "$dev"
refuses "stacked: the lower is in use" 'busy|in use|backing' \
	cloopwsetup -d /dev/cloopw1
must "stacked: detach the upper" cloopwsetup -d "$dev"
must "stacked: detach the lower" cloopwsetup -d /dev/cloopw1

# ---- partitions ----

truncate -s 16M table
sfdisk -q table <<<$'label: dos\n2048,8192\n10240,'
mkcloopw -q table table.cloopw
must "partitions: attach without" cloopwsetup -r "$dev" table.cloopw
attached
check "partitions: none" test ! -e /dev/cloopw0p1
must "partitions: detach" cloopwsetup -d "$dev"
must "partitions: attach with" cloopwsetup -r -P "$dev" table.cloopw
attached
check "partitions: two" test "$(echo /dev/cloopw0p*)" = \
	"/dev/cloopw0p1 /dev/cloopw0p2"
held() {
	local status=0
	exec {fd}</dev/cloopw0p2
	cloopwsetup -d "$dev" || status=$?
	exec {fd}<&-
	return $status
}
refuses "partitions: one in use" 'busy|in use|open' held
must "partitions: detach with" cloopwsetup -d "$dev"
check "partitions: gone" test ! -e /dev/cloopw0p1

# ---- the module's life ----

must "attach again" cloopwsetup -r "$dev" raw
attached
refuses "the module stays while something is attached" 'in use' rmmod cloopw
must "detach again" cloopwsetup -d "$dev"
must "the module goes" rmmod cloopw
must "and comes back, with fewer devices" modprobe cloopw devices=2
check "two devices" test "$(echo /dev/cloopw[0-9])" = "/dev/cloopw0 /dev/cloopw1"
