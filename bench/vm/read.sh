# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Reading one ext4 image in every packing, sequentially and at random.

runs=$(sed -n 's/.*cloopw_runs=\([0-9]*\).*/\1/p' /proc/cmdline)
mkdir -p medium packed
mount -o ro "$(disk 0)" medium
defer umount medium
modprobe -a loop cloopw squashfs erofs

cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# sequential NAME PATH: MB/s
sequential() {
	local start end bytes
	cold
	bytes=$(blockdev --getsize64 "$2" 2>/dev/null || stat -c %s "$2")
	start=${EPOCHREALTIME/./}
	dd if="$2" of=/dev/null bs=1M status=none
	end=${EPOCHREALTIME/./}
	bench_value "seq_$1" "$((bytes * 10 / (end - start)))" x0.1MB/s
}

# random NAME PATH DEPTH OPTION...: reads/s, from cold caches on
random() {
	local name=$1 path=$2 depth=$3
	shift 3
	cold
	bench_value "$name" "$(fio --name=r --filename="$path" --readonly \
		--rw=randread --bs=4k --direct=1 --ioengine=libaio \
		--iodepth="$depth" --randseed=1 --output-format=terse \
		--terse-version=3 "$@" | cut -d ';' -f 8)" /s
}

# Few reads, most of which find nothing in a cache; and many, most of which do.
randoms() {
	random "cold8_$1" "$2" 8 --number_ios=2000
	random "cold1_$1" "$2" 1 --number_ios=1000
	random "long8_$1" "$2" 8 --runtime=8 --time_based
}

measure() {
	sequential "$1" "$2"
	randoms "$1" "$2"
}

# The peers' image is read through its file; random reads need a device, and
# that is loop.
peer() {
	local name=$1 image=$2 loop
	sequential "$name" "$image"
	loop=$(losetup -r --show -f "$image")
	randoms "$name" "$loop"
	losetup -d "$loop"
}

# What the block layer and fio can do here at the most: a disk in memory.
limit() {
	modprobe brd rd_nr=1 rd_size=$((256 << 10))
	dd if=/dev/zero of=/dev/ram0 bs=1M count=256 status=none
	random long8_memory /dev/ram0 8 --runtime=8 --time_based
	rmmod brd
}

for ((run = 0; run < runs; run++)); do
	for codec in gzip zstd lz4; do
		mount -o ro,loop "medium/$codec.squashfs" packed
		peer "squashfs_$codec" packed/raw.img
		umount packed
	done
	mount -o ro,loop medium/lz4hc.erofs packed
	peer erofs_lz4hc packed/raw.img
	umount packed
	loop=$(losetup -r --show -f medium/raw.img)
	measure loop_raw "$loop"
	losetup -d "$loop"
	for codec in zlib zstd lz4hc; do
		cloopwsetup -r /dev/cloopw0 "medium/$codec.cloopw"
		measure "cloopw_$codec" /dev/cloopw0
		cloopwsetup -d /dev/cloopw0
	done
	cloopwsetup -r /dev/cloopw0 medium/raw.img
	measure cloopw_raw /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
	limit
done
