# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# All processes are frozen, as for a suspend, and thawed, while fio writes and
# verifies: what is on its way is served, and nothing hangs.

must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
times=3

mke2fs -q -F -t ext4 "$(disk 1)"
mkdir host
mount "$(disk 1)" host
defer umount host
truncate -s 32M base
must "attached" cloopwsetup -c host/cow $dev base

writes() {
	while [ ! -e stop ]; do
		fio --name=w --filename=$dev --rw=randwrite --bsrange=4k-32k \
			--size=32m --io_size=16m --direct=1 --ioengine=libaio \
			--iodepth=16 --fsync=16 --verify=crc32c --do_verify=1 \
			--verify_fatal=1 --randrepeat=0 >fio.log 2>&1 || return
		echo pass >>passes
	done
}
suspends() {
	local i
	echo freezer >/sys/power/pm_test
	for ((i = 0; i < times; i++)); do
		echo freeze >/sys/power/state
	done
}
writes &
writer=$!
wait_for 100 test -s passes
check "frozen and thawed $times times" suspends
before=$(wc -l <passes)
more() { test "$(wc -l <passes)" -gt "$before"; }
check "writing goes on" wait_for 100 more
touch stop
status=0
wait $writer || status=$?
check "and what is read is what was written" test $status = 0
check "state ok" test "$(cat /sys/block/cloopw0/cloopw/state)" = ok
must "detached" cloopwsetup -d $dev
check "cloopwck finds no fault" cloopwck -q -I raw host/cow base
