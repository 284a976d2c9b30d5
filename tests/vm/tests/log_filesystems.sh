# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# File systems on a COW log that they have to share with the cleaner: files come
# and go until the log has been written through several times, what stays has
# its checksums, and after each re-attach the file system's own check is clean.

modprobe cloopw
defer rmmod cloopw
mkdir host mnt
mke2fs -q -F -t ext4 "$(disk 0)"
mount "$(disk 0)" host
defer umount host
dev=/dev/cloopw0

# make_files N: files that change their size, place and content with N
make_files() {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		seq "$1$i" "$((40000 + $1$i))" >"mnt/dir$((i % 3))/text$1.$i"
		head -c "$((i * 77777))" /dev/urandom >"mnt/dir$((i % 3))/random$i"
		fallocate -p -o 8192 -l 65536 "mnt/dir$((i % 3))/random$i"
		truncate -s +123457 "mnt/dir$((i % 3))/text$1.$i"
	done
	find mnt -type f -name "text$(($1 - 2)).*" -delete
}

# churn ROUND: half a dozen times, and checksums of what there is at the end
churn() {
	local i
	mkdir -p mnt/dir{0,1,2}
	for i in 1 2 3 4 5 6; do
		make_files "$1$i"
		sync
	done
	fstrim mnt
	find mnt -type f -exec sha256sum {} + >sums
}

# on NAME MKFS -- CHECK: the file system over two attaches and a third
on() {
	local name=$1 round mkfs=() size
	shift
	while [ "$1" != -- ]; do
		mkfs+=("$1")
		shift
	done
	shift
	rm -f host/cow host/base.cloopw base
	truncate -s 300M base
	"${mkfs[@]}" base >/dev/null
	mkcloopw -q base host/base.cloopw
	for round in 1 2; do
		must "$name: attached, round $round" cloopwsetup \
			--cow-format log -c host/cow $dev host/base.cloopw
		must "$name: mounted, round $round" mount $dev mnt
		check "$name: files come and go, round $round" churn "$round"
		umount mnt
		must "$name: detached, round $round" cloopwsetup -d $dev
		must "$name: attached again, round $round" \
			cloopwsetup -c host/cow $dev host/base.cloopw
		check "$name: its check is clean, round $round" "$@" $dev
		must "$name: mounted again, round $round" mount $dev mnt
		check "$name: checksums, round $round" sha256sum --quiet -c sums
		umount mnt
		cloopwsetup -d $dev
	done
	size=$(du -m host/cow | cut -f 1)
	diag "$name: $size MiB in the COW"
	check "$name: the COW is bounded" test "$size" -lt 130
}

on ext4 mke2fs -q -t ext4 -- e2fsck -fn
on XFS mkfs.xfs -q -- xfs_repair -n
on btrfs mkfs.btrfs -q -- btrfs check --readonly
