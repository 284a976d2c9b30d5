# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# A random reader while another writes and syncs: no reader waits for a sync. The COW is
# on ext4, on a disk that takes a while to read and much longer to write (dm-delay).
# The slowest hundredth of its reads takes at most three times as long as without the
# other. Both are measured in turn, so what disturbs the machine disturbs both. The disk
# is so slow to write that a read which waits for a sync stands out on a busy machine.

modprobe -a cloopw dm-mod dm-delay
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sectors=$((300 * 2048))
delays="$(disk 1) 0 10 $(disk 1) 0 200" # ms to read, and to write or flush
reads=100  # in a round
rounds=3   # of both, in an attempt
attempts=4 # on a machine that does other things
most=3     # times as long

disk=$(disk 1)
mke2fs -q -F -t ext4 "$disk" $((sectors / 2))k
dmsetup --noudevsync create slow --table "0 $sectors linear $disk 0"
defer 'dmsetup --noudevsync remove slow'
mkdir host
mount /dev/"$(dmsetup info -c --noheadings -o blkdevname slow)" host
defer 'umount host'
truncate -s 96M base
must "attached" cloopwsetup -c host/cow $dev base
must "a small cache" cloopwsetup --set-cache 256K $dev
must "written" dd if=/dev/urandom of=$dev bs=1M count=64 oflag=direct status=none
must "flushed" cloopwsetup --flush $dev
dmsetup --noudevsync suspend slow
dmsetup --noudevsync load slow --table "0 $sectors delay $delays"
dmsetup --noudevsync resume slow

# reader SEED FILE: what each read took, in ns, goes to the end of the file
reader() {
	echo 3 >/proc/sys/vm/drop_caches
	fio --name=reader --filename=$dev --rw=randread --bs=4k --direct=1 \
		--size=64m --number_ios=$reads --randseed="$1" \
		--ioengine=psync --write_lat_log=reader --log_avg_msec=0 >fio.log
	awk -F ', *' '{ print $2 }' reader_lat.1.log >>"$2"
}
# percentile N FILE: in us
percentile() {
	sort -n "$2" | awk -v n="$1" '{ ns[NR] = $1 }
		END { print int(ns[int(NR * n / 100)] / 1000) }'
}
p99() { percentile 99 "$1"; }
writer() {
	local n
	for ((n = 1; ; n++)); do
		[ ! -e stop ] || break
		dd if=/dev/urandom of=$dev bs=4k count=4 seek=$((16384 + n % 8000)) \
			conv=notrunc,fsync status=none || return
		echo "$n" >syncs
	done
}
has_synced() { test "$(cat syncs)" -gt "$1"; }

# round SEED: adds to alone and together
round() {
	local writer before
	reader "$1" alone
	rm -f stop
	echo 0 >syncs
	writer &
	writer=$!
	wait_for 60 has_synced 0
	before=$(cat syncs)
	reader "$1" together
	wait_for 60 has_synced "$before"
	echo $(($(cat syncs) - before)) >>all_syncs
	touch stop
	wait $writer
}
attempt() {
	local i
	rm -f alone together all_syncs
	for ((i = 1; i <= rounds; i++)); do
		round $((100 * $1 + i))
	done
	diag "$(wc -l <alone) reads: half are done in $(percentile 50 alone) us alone," \
		"$(percentile 50 together) us with" \
		"$(awk '{ n += $1 } END { print n }' all_syncs) syncs;" \
		"99 % in $(p99 alone) and $(p99 together) us"
	test "$(p99 together)" -le $((most * $(p99 alone)))
}
no_reader_waits() {
	local i
	for ((i = 1; i <= attempts; i++)); do
		if attempt $i; then
			bench_value reader_alone_p99 "$(p99 alone)" us
			bench_value reader_and_syncs_p99 "$(p99 together)" us
			return
		fi
	done
	return 1
}
check "the slowest reads take at most $most times as long" no_reader_waits
must "detached" cloopwsetup -d $dev
