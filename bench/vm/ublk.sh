# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# One compressed image with a COW, by each way to a block device, and a compressed qcow2
# with an overlay by qemu-nbd: cold random reads, reads of what was read before, random
# writes with an fsync each 32, sequential reads and writes.

runs=$(sed -n 's/.*cloopw_runs=\([0-9]*\).*/\1/p' /proc/cmdline)
mkdir -p medium cow
mount -o ro "$(disk 0)" medium
defer umount medium
mkfs.ext4 -q "$(disk 1)"
mount "$(disk 1)" cow
defer umount cow
modprobe -a loop nbd ublk_drv
mkdir -p /var/lock # of qemu-nbd

cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# random NAME DEVICE RW FIELD OPTION...: operations a second
random() {
	local name=$1 device=$2 rw=$3 field=$4
	shift 4
	bench_value "$name" "$(fio --name=r --filename="$device" --rw="$rw" --bs=4k \
		--direct=1 --ioengine=libaio --iodepth=8 --randseed=1 \
		--output-format=terse --terse-version=3 "$@" |
		cut -d ';' -f "$field")" /s
}

# through NAME DEVICE COMMAND...: MB/s of a command that moves 64 MiB
through() {
	local name=$1 start end
	shift
	start=${EPOCHREALTIME/./}
	"$@"
	end=${EPOCHREALTIME/./}
	bench_value "$name" "$(((64 << 20) * 10 / (end - start)))" x0.1MB/s
}

measure() {
	local way=$1 device=$2
	cold
	random "cold_$way" "$device" randread 8 --number_ios=1500
	random "warm_$way" "$device" randread 8 --number_ios=3000 --size=8M
	random "write_$way" "$device" randwrite 49 --number_ios=1500 --size=64M --fsync=32
	cold
	through "seq_$way" dd if="$device" of=/dev/null bs=1M count=64 skip=128 \
		iflag=direct status=none
	through "seqwrite_$way" dd if=/dev/urandom of="$device" bs=1M count=64 seek=64 \
		oflag=direct conv=fsync status=none
}

# ours NAME OPTION...
ours() {
	local way=$1 device
	shift
	rm -f cow/c
	device=$(cloopwsetup "$@" --show -f -c cow/c medium/zstd.cloopw)
	measure "$way" "$device"
	cloopwsetup -d "$device"
}

qcow2() {
	rm -f cow/o
	qemu-img create -q -f qcow2 -F qcow2 -b "$PWD/medium/zstd.qcow2" cow/o
	qemu-nbd -c /dev/nbd0 -f qcow2 cow/o
	wait_for 10 test -s /sys/block/nbd0/pid
	measure qcow2 /dev/nbd0
	qemu-nbd -d /dev/nbd0 >/dev/null
}

for _ in $(seq "$runs"); do
	ours module --driver
	ours ublk --userspace=ublk
	ours nbd --userspace=nbd
	qcow2
done
