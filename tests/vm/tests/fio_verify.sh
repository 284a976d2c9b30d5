# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, requests overlap
#
# fio writes and verifies at random, 512 bytes to 1 MiB, four jobs at once, on
# each COW format; then once more after a re-attach.

modprobe cloopw
defer unload cloopw
mke2fs -q -F -t ext4 "$(disk 0)"
mkdir host
mount "$(disk 0)" host
defer umount host

truncate -s 64M raw
mkcloopw -q -f raw host/base.cloopw

# fio_jobs OPTIONS...: four jobs, each in its quarter of the device
fio_jobs() {
	fio --name=v --filename=/dev/cloopw0 --direct=1 --ioengine=libaio \
		--rw=randwrite --bsrange=512-1m --bs_unaligned=0 --iodepth=8 \
		--numjobs=4 --size=16m --offset_increment=16m \
		--verify=crc32c --verify_fatal=1 --randseed=7 --group_reporting \
		--buffer_compress_percentage=50 "$@"
}

for format in uml log; do
	rm -f host/cow
	must "$format: attached" cloopwsetup -c host/cow \
		--cow-format "$format" /dev/cloopw0 host/base.cloopw
	check "$format: random writes verify" fio_jobs --do_verify=1
	cloopwsetup -d /dev/cloopw0
	must "$format: attached again" \
		cloopwsetup -c host/cow /dev/cloopw0 host/base.cloopw
	check "$format: and after a re-attach" fio_jobs --verify_only
	cloopwsetup -d /dev/cloopw0
done
