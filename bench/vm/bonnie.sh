# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# bonnie++ on the four set-ups of the OBD paper, each with ext2 on it: the
# device itself, the device over loop, an image file over loop, and a raw base
# with a UML COW over cloopw. Image, base and COW lie on ext2 on the same disk.

runs=$(sed -n 's/.*cloopw_runs=\([0-9]*\).*/\1/p' /proc/cmdline)
modprobe -a loop cloopw
mkdir -p host mnt
device=$(disk 0)

# bonnie NAME DEVICE
bonnie() {
	mke2fs -q -t ext2 "$2"
	mount "$2" mnt
	# more than the memory, 704 MiB, of which the root has its part
	bonnie++ -u root -q -f -n 0 -s 1024 -r 512 -d mnt >out.csv 2>err.txt
	umount mnt
	# columns of bonnie++'s CSV, K/s and /s
	awk -F , 'END { print $12, $14, $18, $20 }' out.csv |
		while read -r write rewrite read seeks; do
			bench_value "write_$1" "$write" K/s
			bench_value "rewrite_$1" "$rewrite" K/s
			bench_value "read_$1" "$read" K/s
			bench_value "seeks_$1" "$seeks" /s
		done
}

for ((run = 0; run < runs; run++)); do
	bonnie device "$device"
	loop=$(losetup --show -f "$device")
	bonnie loop_device "$loop"
	losetup -d "$loop"

	mke2fs -q -t ext2 "$device"
	mount "$device" host
	truncate -s 1500M host/image
	loop=$(losetup --show -f host/image)
	bonnie loop_image "$loop"
	losetup -d "$loop"
	rm host/image

	truncate -s 1500M host/base
	cloopwsetup -c host/cow --cow-format=uml /dev/cloopw0 host/base
	bonnie cloopw /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	umount host
done
