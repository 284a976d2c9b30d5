# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, requests arrive while the COW is reset
#
# Changes are thrown away: --reset under I/O and -d --discard-changes; forks.

modprobe cloopw
defer unload cloopw
modprobe ext4
mkdir mnt
defer 'umount mnt 2>/dev/null || :; cloopwsetup -D'

head -c 16M /dev/urandom >raw
mkcloopw -q raw base.cloopw
mke2fs -q -F -t ext4 fs 16M
mkcloopw -q fs fs.cloopw

shows() {
	cmp "$1" /dev/cloopw0
}

# ---- in place ----

reset() {
	cloopwsetup -c cow /dev/cloopw0 base.cloopw
	head -c 8M /dev/urandom | dd of=/dev/cloopw0 bs=1M seek=4 conv=fsync,notrunc status=none
	! shows raw || return 1
	cloopwsetup --reset /dev/cloopw0
	shows raw
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c cow /dev/cloopw0 base.cloopw
	shows raw
}
check "a reset device shows its image, also after the next attach" reset
cached() {
	head -c 1M /dev/zero | dd of=/dev/cloopw0 conv=notrunc status=none
	cloopwsetup --reset /dev/cloopw0
	sync
	shows raw
	dd if=/dev/cloopw0 iflag=direct bs=1M status=none | cmp raw
}
check "the page cache has nothing of before" cached
opened() {
	exec 7</dev/cloopw0
	! cloopwsetup --reset /dev/cloopw0 2>refusal || return 1
	exec 7<&-
	grep -qF 'has /dev/cloopw0 open; first' refusal
	modprobe loop
	local loop
	loop=$(losetup -f --show /dev/cloopw0)
	! cloopwsetup --reset /dev/cloopw0 2>refusal || return 1
	losetup -d "$loop"
	grep -qF "/dev/cloopw0 is the file of $loop" refusal
	cloopwsetup --reset /dev/cloopw0
}
check "a device that others have open is not reset" opened
small() {
	test "$(stat -c %b cow)" -le 128
}
check "the COW file gave its space back" small

refused_for_fio() {
	! cloopwsetup --reset /dev/cloopw0 2>refusal || return 1
	grep -qF '(fio) has /dev/cloopw0 open' refusal
}
under_io() {
	fio --name=r --filename=/dev/cloopw0 --direct=1 --ioengine=libaio --rw=randrw \
		--bsrange=512-256k --bs_unaligned=0 --iodepth=8 --numjobs=2 --size=16m \
		--time_based --runtime=3600 --buffer_compress_percentage=50 >fio.log &
	local fio=$!
	wait_for 20 refused_for_fio
	for _ in 1 2 3 4 5; do
		cloopwsetup --reset --force /dev/cloopw0
		sleep 1
		kill -0 "$fio"
	done
	kill -INT "$fio"
	wait "$fio" || : # the signal ends it, an error is in its log
	grep -q 'err= *0' fio.log
	cloopwsetup --reset /dev/cloopw0
	shows raw
	cloopwsetup -d /dev/cloopw0
	cloopwck -c cow base.cloopw
	cloopwsetup -c cow /dev/cloopw0 base.cloopw
	shows raw
}
check "a device is reset under I/O" under_io

full() {
	cloopwsetup --cow-limit 9M /dev/cloopw0
	! dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=16 oflag=direct status=none || return 1
	test "$(cat /sys/block/cloopw0/cloopw/state)" = full
	cloopwsetup --reset /dev/cloopw0
	test "$(cat /sys/block/cloopw0/cloopw/state)" = ok
	dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=1 oflag=direct status=none
	cloopwsetup --reset /dev/cloopw0
	shows raw
}
check "a full COW can be reset" full
cloopwsetup -d /dev/cloopw0

mounted() {
	cloopwsetup -c fs.cow /dev/cloopw0 fs.cloopw
	mount /dev/cloopw0 mnt
	! cloopwsetup --reset /dev/cloopw0 2>refusal || return 1
	grep -qF "is mounted on $PWD/mnt; first 'umount $PWD/mnt'" refusal
	cp /bin/bash mnt/
	umount mnt
	cloopwsetup --reset /dev/cloopw0
	mount /dev/cloopw0 mnt
	test ! -e mnt/bash
	umount mnt
	cloopwsetup --reset /dev/cloopw0
	shows fs
	cloopwsetup -d /dev/cloopw0
}
check "a mounted device is not reset, and shows its old files afterwards" mounted

snapshot() {
	rm -f cow
	cloopwsetup -c cow /dev/cloopw0 base.cloopw
	dd if=/dev/zero of=/dev/cloopw0 bs=1M count=2 conv=fsync,notrunc status=none
	dd if=/dev/cloopw0 of=before bs=1M status=none
	cloopwsetup --snapshot top.cow /dev/cloopw0
	dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=4 conv=fsync,notrunc status=none
	cloopwsetup --reset /dev/cloopw0
	shows before
}
check "a reset goes back to the snapshot" snapshot

# ---- at the detach ----

discarded() {
	dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=4 conv=fsync,notrunc status=none
	cloopwsetup -d --discard-changes /dev/cloopw0
	test "$(stat -c %b top.cow)" -le 128
	cloopwck -c top.cow base.cloopw
	cloopwsetup -c top.cow /dev/cloopw0 base.cloopw
	shows before
	dd if=/dev/zero of=/dev/cloopw0 bs=1M count=4 conv=fsync,notrunc status=none
	cloopwsetup -d /dev/cloopw0
	cloopwsetup -c top.cow /dev/cloopw0 base.cloopw
	cmp -n 4M /dev/zero /dev/cloopw0
	cloopwsetup -d /dev/cloopw0
}
check "-d --discard-changes empties the top layer's file" discarded

# ---- forks ----

forks() {
	local device
	mkdir forks
	cloopwsetup --fork --count 8 -c forks base.cloopw >names
	test "$(wc -l <names)" = 8
	stat -c '%n %b' forks/*
	while read -r device; do
		cmp raw "$device"
	done <names
	head -c 1M /dev/urandom | dd of="$(head -n 1 names)" conv=fsync,notrunc status=none
	! cmp raw "$(head -n 1 names)" || return 1
	cmp raw "$(tail -n 1 names)"
	cloopwsetup -D
}
check "forks of an image have changes of their own" forks
of_a_snapshot() {
	cloopwsetup -c top.cow /dev/cloopw0 base.cloopw
	dd if=/dev/cloopw0 of=before bs=1M status=none
	cloopwsetup --snapshot next.cow /dev/cloopw0
	dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=2 conv=fsync,notrunc status=none
	dd if=/dev/cloopw0 of=after bs=1M status=none
	cloopwsetup --fork --count 3 -c 'snap-%.cow' /dev/cloopw0
	dd if=/dev/urandom of=/dev/cloopw1 bs=1M count=2 conv=fsync,notrunc status=none
	cmp after /dev/cloopw0
	cmp before /dev/cloopw2
	cmp before /dev/cloopw3
	cloopwsetup --reset /dev/cloopw1
	cmp before /dev/cloopw1
	cloopwsetup -D
}
check "forks of a device show its snapshot" of_a_snapshot
no_space() {
	mkdir small
	mount -t tmpfs -o size=36k tmpfs small
	! cloopwsetup --fork --count 200 -c small base.cloopw 2>refusal || return 1
	umount small
	grep -qF 'those before it are taken back' refusal
	test -z "$(cloopwsetup -n)"
}
check "without space for all of them, no fork is left" no_space
