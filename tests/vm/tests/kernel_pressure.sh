# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# alone: it uses up the memory of its VM
# cpus: 2, the shrinker runs beside readers
#
# Writing back through the device while memory is short: it must not need
# memory that only writing back would give. Wants a disk for the COW file, so
# that this is not in memory itself: run --disk FILE, 512 MiB or more.

must "the module loads" modprobe cloopw
defer rmmod cloopw
dev=/dev/cloopw0

mkfs.ext4 -q -F "$(disk 0)"
mkdir cows mnt ballast
mount "$(disk 0)" cows
defer umount cows
truncate -s 200M base
mkfs.ext4 -q -F base
mkcloopw -q base cows/image

fill() {
	local free
	mount -t tmpfs -o size=100% tmpfs ballast
	free=$(awk '/MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	head -c $((free - 48))M /dev/zero >ballast/fill
	awk '/MemAvailable|MemFree|Dirty/' /proc/meminfo
}

use() {
	local i
	for i in 1 2 3 4; do
		dd if=/dev/urandom bs=64k count=640 status=none |
			tee "mnt/$i" | sha256sum | sed "s,-,mnt/$i," >>sums &
	done
	wait
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c sums
}

for format in uml log; do
	rm -f cows/cow sums
	cloopwsetup --cow-format $format -c cows/cow $dev cows/image 2>err || {
		diag "no $format: $(cat err)"
		continue
	}
	defer "cloopwsetup -d $dev 2>/dev/null || :"
	mount $dev mnt
	must "$format: little memory is left" fill
	check "$format: 160 MiB are written and read" use
	umount mnt ballast
	must "$format: detach" cloopwsetup -d $dev
done
