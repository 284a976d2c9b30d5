# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, requests arrive while the queue freezes
#
# All processes are frozen, as for a suspend, and thawed, while fio writes and
# verifies: what is on its way is served, and nothing hangs. Meanwhile the watch of the
# COW, which may write, does not run: an image for hibernation may have been taken.

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

# trace, trace_ends: when the watch runs, and when all is frozen, into the file runs
trace=/sys/kernel/tracing
watch_runs() { grep -q 'function watch_work' $trace/trace; }
trace() {
	local address
	mount -t tracefs tracefs $trace
	address=$(awk '$3 == "watch_work" && $4 == "[cloopw]" { print $1 }' /proc/kallsyms)
	echo "function == 0x$address" >$trace/events/workqueue/workqueue_execute_start/filter
	echo 1 >$trace/events/workqueue/workqueue_execute_start/enable
	echo 1 >$trace/events/power/suspend_resume/enable
	wait_for 20 watch_runs
}
trace_ends() {
	wait_for 20 watch_runs
	cat $trace/trace >runs
	umount $trace
}
# frozen_runs: how often the watch ran while all was frozen, and how often that was
frozen_runs() {
	awk '/thaw_processes.* begin/ { frozen = 0 }
		/function watch_work/ && frozen { runs++ }
		/freeze_processes.* end/ { frozen = 1; times++ }
		END { print runs + 0, times + 0 }' runs
}
writes &
writer=$!
wait_for 100 test -s passes
must "when the watch runs can be seen" trace
check "frozen and thawed $times times" suspends
trace_ends
diag "the watch ran $(grep -c 'function watch_work' runs) times"
check "the watch ran at no time of the $times" test "$(frozen_runs)" = "0 $times"
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
