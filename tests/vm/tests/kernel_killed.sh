# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What becomes of the process that asks for a flush or another change is nothing
# to the COW file: neither its limits nor its end make writing to that fail, for
# others least of all.

must "the module loads" modprobe cloopw
defer rmmod cloopw
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
defer 'cloopwsetup -D 2>/dev/null || :'

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
