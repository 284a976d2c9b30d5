# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Flushes and checkpoints at the same time while writes begin to fail: the kernel
# tells an error of writing back once, and nobody may be told that all is well.
# Pages are written one after the other, each with a sync; those whose sync came back
# well are there after the next attach.

# shellcheck source=tests/vm/lib/flaky.sh
. /cloopw/lib/flaky.sh
rounds=6
make_medium 200 16

writes() {
	local n
	for ((n = 0; n < 2048; n++)); do
		dd if=data of=$dev bs=4k skip=$n seek=$n count=1 \
			conv=notrunc,fsync status=none 2>/dev/null || break
		echo $((n + 1)) >acknowledged
	done
}
flushes() {
	while [ ! -e stop ]; do
		cloopwsetup --flush $dev || :
	done >/dev/null 2>&1
}
count() { test "$(cat acknowledged)" -ge "$1"; }

# round FILE N: the COW, and how many are written before the medium fails
round() {
	local cow=$1 writer flusher
	rm -f stop
	echo 0 >acknowledged
	head -c 8M /dev/urandom >data
	cloopwsetup --force -c "$cow" $dev base.cloopw
	writes &
	writer=$!
	flushes &
	flusher=$!
	wait_for 60 count "$2"
	fails_from 0
	wait $writer
	touch stop
	wait $flusher
	test "$(cat /sys/block/cloopw0/cloopw/state)" = failed
	detach
	[ "$cow" = "$medium" ] || umount host
	heals
	[ "$cow" = "$medium" ] || mount "$medium" host
	cloopwsetup -c "$cow" $dev base.cloopw
	echo "$(cat acknowledged) were acknowledged" | tee told
	cmp -n $(($(cat acknowledged) * 4096)) data $dev
	cloopwsetup -d $dev
	cloopwck -q "$cow" base.cloopw
}

mke2fs -q -F -t ext4 "$medium"
mount "$medium" host
for ((i = 0; i < rounds; i++)); do
	check "a file, round $i" round host/cow$i $((RANDOM % 20 + 5))
	diag "$(cat told)"
done
umount host
wipefs -q -a "$medium"
for ((i = 0; i < rounds; i++)); do
	dd if=/dev/zero of="$medium" bs=1M count=64 conv=fsync status=none
	check "a device, round $i" round "$medium" $((RANDOM % 20 + 5))
	diag "$(cat told)"
done
