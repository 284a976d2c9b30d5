# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A random reader while another writes and syncs, the COW on ext4 on a disk that
# takes 5 ms for everything (dm-delay): no reader waits for a sync. That reads go on
# is asserted; how long the slowest hundredth takes is a figure, and with --bench at
# most three times that of the reader alone.

modprobe -a cloopw dm-mod dm-delay
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sectors=$((600 * 2048))
delay=5 # ms
reads=600

disk=$(disk 1)
mke2fs -q -F -t ext4 "$disk" $((sectors / 2))k
dmsetup --noudevsync create slow --table "0 $sectors linear $disk 0"
defer 'dmsetup --noudevsync remove slow'
mkdir host
mount /dev/"$(dmsetup info -c --noheadings -o blkdevname slow)" host
defer 'umount host'
truncate -s 256M base
must "attached" cloopwsetup -c host/cow $dev base
must "a small cache" cloopwsetup --set-cache 256K $dev
must "written" dd if=/dev/urandom of=$dev bs=1M count=128 oflag=direct status=none
must "flushed" cloopwsetup --flush $dev
dmsetup --noudevsync suspend slow
dmsetup --noudevsync load slow --table "0 $sectors delay $disk 0 $delay"
dmsetup --noudevsync resume slow

# reader SEED: p99 in microseconds, into the file p99
reader() {
	echo 3 >/proc/sys/vm/drop_caches
	fio --name=reader --filename=$dev --rw=randread --bs=4k --direct=1 \
		--size=128m --number_ios=$reads --randseed="$1" \
		--ioengine=psync --output-format=terse >terse
	tr ';' '\n' <terse | sed -n 's/^99\.0*%=//p' | head -n 1 >p99
	test "$(cat p99)" -gt 0
}
writer() {
	local n
	for ((n = 0; ; n++)); do
		[ ! -e stop ] || break
		dd if=/dev/urandom of=$dev bs=4k count=4 seek=$((40000 + n % 8000)) \
			conv=notrunc,fsync status=none || return
		echo "$n" >syncs
	done
}

check "the reader alone" reader 1
alone=$(cat p99)
writer &
writer=$!
wait_for 60 test -s syncs
before=$(cat syncs)
check "the reader while another syncs" reader 2
together=$(cat p99)
after=$(cat syncs)
touch stop
status=0
wait $writer || status=$?
check "who syncs gets no error" test $status = 0
check "it synced meanwhile" test "$after" -gt "$before"
bench_value reader_alone_p99 "$alone" us
bench_value reader_and_syncs_p99 "$together" us
ratio=$(awk "BEGIN { printf \"%.2f\", $together / $alone }")
bench_value reader_p99_ratio "$ratio" x
diag "p99 $alone us alone, $together us with $((after - before)) syncs: $ratio x"
[ ! "${BENCH-}" ] || check "at most three times as long" \
	awk "BEGIN { exit !($ratio <= 3) }"
must "detached" cloopwsetup -d $dev
