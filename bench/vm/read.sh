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

# random NAME PATH DEPTH: reads/s
random() {
	cold
	bench_value "rand$3_$1" "$(fio --name=r --filename="$2" --readonly \
		--rw=randread --bs=4k --direct=1 --ioengine=libaio \
		--iodepth="$3" --runtime=8 --time_based --randseed=1 \
		--output-format=terse --terse-version=3 | cut -d ';' -f 8)" /s
}

measure() {
	sequential "$1" "$2"
	random "$1" "$2" 8
	random "$1" "$2" 1
}

# The peers' image is read through its file; random reads need a device, and
# that is loop.
peer() {
	local name=$1 image=$2 loop
	sequential "$name" "$image"
	loop=$(losetup -r --show -f "$image")
	random "$name" "$loop" 8
	random "$name" "$loop" 1
	losetup -d "$loop"
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
done
