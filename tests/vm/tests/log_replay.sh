# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver's own flushes: dm-log-writes under the COW, as a bare device and as a
# file on ext4, keeps every write, flush and FUA in the order of the disk. The disk
# is made anew as it was at such moments, with a random part of what no flush covers,
# and each time the COW is attached, the file system on it is mounted and checked,
# and every file is there that was synced before. A sample of all moments, or all with
# cloopw_replay=all on the kernel's command line.

modprobe -a cloopw loop dm-mod dm-log-writes
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
samples=3 # of each
grep -q 'cloopw_replay=all' /proc/cmdline && samples=100000

truncate -s 24M raw
mke2fs -q -F -t ext4 -O ^resize_inode raw
mkcloopw -q raw base.cloopw
mkdir host mnt

mark() { dmsetup message medium 0 mark "$1"; }

# work: files, synced one by one, others that are not and go again, discards, and
# the checkpoints of a flush in between
work() {
	local i
	for ((i = 0; i < 12; i++)); do
		head -c $((RANDOM * 16)) /dev/urandom >mnt/other
		head -c $((RANDOM * 8 + 1000)) /dev/urandom >mnt/$i
		sync mnt/$i
		mark "synced.$i"
		sha256sum mnt/$i >>sums
		rm mnt/other
		[ $((i % 5)) != 3 ] || fstrim mnt
		[ $((i % 4)) != 3 ] || cloopwsetup --flush $dev
	done
}

# record HOLDER: the work, and the log of it in the file log
record() {
	local sectors=$((40 * 2048)) disk log
	rm -f disk.img log.img sums
	truncate -s 40M disk.img
	truncate -s 200M log.img
	[ "$1" = device ] || mke2fs -q -F -t ext4 disk.img
	cp --sparse=always disk.img start.img
	disk=$(losetup -f --show disk.img)
	log=$(losetup -f --show log.img)
	dmsetup --noudevsync create medium --table "0 $sectors log-writes $disk $log"
	cow=/dev/$(dmsetup info -c --noheadings -o blkdevname medium)
	if [ "$1" != device ]; then
		mount "$cow" host
		cow=host/cow
	fi
	cloopwsetup -c "$cow" $dev base.cloopw
	# before the first attach is durable there is nothing
	mark attached
	mount $dev mnt
	work
	umount mnt
	cloopwsetup -d $dev
	[ "$1" = device ] || umount host
	dmsetup --noudevsync remove medium
	losetup -d "$disk" "$log"
	replay-writes list log.img >entries
}

# synced_before ENTRY: the sums of the files that were
synced_before() {
	head -n "$(awk -v to="$1" '$1 < to && /mark synced/' entries | wc -l)" sums
}

# holds HOLDER ENTRY: what then.img has is right
holds() {
	local cow=then.img
	synced_before "$2" >expected
	if [ "$1" != device ]; then
		mount -o loop then.img host
		cow=host/cow
	fi
	cloopwsetup -c $cow $dev base.cloopw
	mount $dev mnt
	[ ! -s expected ] || sha256sum --quiet -c expected
	umount mnt
	e2fsck -fn $dev
	cloopwsetup -d $dev
	cloopwck -q $cow base.cloopw
	[ "$1" = device ] || umount host
}

# places: samples of those behind a flush or FUA, the last one included
places() {
	awk -v samples=$samples '
		/mark attached/ { attached = 1 }
		attached && /flush|fua/ { place[n++] = $1 + 1 }
		END {
			step = n > samples ? n / samples : 1
			for (i = n; i >= 1; i -= step)
				print place[int(i + 0.5) - 1]
		}' entries | sort -n
}
# replay HOLDER: exactly, and with some of what follows until the next flush
replay() {
	local holder=$1 at=0 to next tear=
	[ "$holder" != device ] || tear=tear
	diag "$holder: $(wc -l <entries) writes and so on," \
		"$(grep -cE 'flush|fua' entries) flushes and FUAs"
	for to in $(places); do
		replay-writes apply log.img start.img "$at" "$to"
		at=$to
		cp --sparse=always start.img then.img
		check "$holder: entry $to of the log" holds "$holder" "$to"
		next=$(awk -v at="$at" '$1 >= at && /flush/ { print $1; exit }' entries)
		[ "$next" ] || continue
		cp --sparse=always start.img then.img
		replay-writes some log.img then.img "$at" "$next" $RANDOM $tear
		check "$holder: and some of what follows, before $next" \
			holds "$holder" "$next"
	done
}

for holder in device file; do
	must "$holder: written, and all of it in a log" record $holder
	replay $holder
done
