# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, processes are killed in the middle of a call
#
# What becomes of the process that asks for a flush or another change is nothing
# to the COW file: neither its limits nor its end make writing to that fail, for
# others least of all. Then the test kills cloopwsetup in each of its steps, at any moment,
# while fio writes, reads and verifies a device. cloopw_kills=N on the kernel's command
# line says how often.

must "the module loads" modprobe cloopw
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
defer 'cloopwsetup -D 2>/dev/null || :; rmmod cloopw 2>/dev/null || :'

truncate -s 48M base
mkcloopw -q base image
must "attach" cloopwsetup -c cow $dev image

is_well() {
	test "$(cat $sys/state) $(cat $sys/write_errors)" = "ok 0"
}

# ---- limits ----

dd if=/dev/urandom of=$dev bs=64k count=64 oflag=direct status=none

limited() {
	(
		ulimit -f 1
		"$@"
	)
}
set_limit() {
	echo $((64 << 20)) >$sys/cow_limit
}
check "flush by who may only write short files" \
	limited cloopwsetup --flush $dev
check "so is the limit set" limited set_limit
check "it is" test "$(cat $sys/cow_limit)" = $((64 << 20))
check "the COW is well" is_well

# ---- SIGKILL, and limits while others write ----

# Rewrites, so that there is much to clean, until many were killed.
writer() {
	while [ ! -e enough ]; do
		fio --name=w --filename=$dev --rw=randwrite --bs=4k --direct=1 \
			--ioengine=libaio --iodepth=8 --size=24M --io_size=24M \
			--buffer_compress_percentage=50 --randrepeat=0 \
			--minimal >/dev/null || return
	done
}
writer &
writer=$!
killed=0
while kill -0 $writer 2>/dev/null && [ $killed -lt 60 ]; do
	for pause in 0 0.01 0.02 0.05 0.1; do
		cloopwsetup --flush $dev &
		sleep $pause
		kill -KILL $! 2>/dev/null && killed=$((killed + 1))
		wait $! || :
	done
	# as a signal would, but at each write
	limited cloopwsetup --flush $dev || :
done 2>/dev/null
touch enough
written() {
	return "$written"
}
written=0
wait $writer || written=$?
check "who writes gets no error" written
diag "killed $killed times"
check "many were killed while it wrote" test $killed -ge 60
check "the COW is still well" is_well
check "flush" cloopwsetup --flush $dev
must "detach" cloopwsetup -d $dev
check "cloopwck" cloopwck -q cow image

# ---- SIGKILL at each step, while a device is in use ----

kills=$(sed -n 's/.*cloopw_kills=\([0-9]*\).*/\1/p' /proc/cmdline)
kills=${kills:-24}
second=/dev/cloopw1
truncate -s 16M raw
mkcloopw -q raw small
head -c 1M /dev/urandom >first
top=cow0
number=0

must "attached anew" cloopwsetup -c cow $dev image
verifier() {
	while [ ! -e last ]; do
		fio --name=v --filename=$dev --rw=randrw --bsrange=4k-16k \
			--direct=1 --ioengine=libaio --iodepth=8 --size=16M \
			--fsync=16 --verify=crc32c --do_verify=1 --verify_fatal=1 \
			--randrepeat=0 --minimal >fio.log 2>&1 || return
		echo pass >>passes
	done
}

# killed COMMAND...: at any moment; it may end before
killed() {
	"$@" &
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	kill -KILL $! 2>/dev/null && echo "$2" >>killed
	wait $! || :
}
refused() { if "$@"; then return 1; fi; }
is_attached() { grep -q '^ok' /sys/block/cloopw1/cloopw/state; }
attach_second() { cloopwsetup -c "$top" $second small; }
holds_first() { cmp -n $((1 << 20)) first $second; }
put_first() { dd if=first of=$second bs=64k conv=notrunc,fsync status=none; }
top_now() { cat /sys/block/cloopw1/cloopw/layers/0/path; }

# each_step: the second device through its life, each step killed once
each_step() {
	killed cloopwsetup -c "$top" $second small
	is_attached || attach_second
	[ -e written ] || put_first
	touch written
	holds_first
	killed cloopwsetup --flush $second
	killed cloopwsetup --set-cache $((RANDOM + 65536)) $second
	number=$((number + 1))
	killed cloopwsetup --snapshot "cow$number" $second
	put_first
	top=$(top_now)
	refused rmmod cloopw
	killed cloopwsetup -d $second
	! is_attached || cloopwsetup -d $second
	cloopwck -q "$top" small
}
steps() {
	while [ "$(wc -l <killed)" -lt "$kills" ]; do
		each_step
	done
	attach_second
	holds_first
	cloopwsetup -d $second
}
touch killed
verifier &
verifier=$!
check "each step is killed at any moment, and done all the same" steps
touch last
status=0
wait $verifier || status=$?
check "who writes and reads meanwhile sees what it wrote" test $status = 0
diag "killed: $(sort killed | uniq -c | tr -s ' \n' ' '), $(wc -l <passes) passes of fio"
check "the COW is well after all" is_well
refuses "the module stays while a device is attached" 'in use' rmmod cloopw
must "all are detached" cloopwsetup -D
check "the module goes" rmmod cloopw
