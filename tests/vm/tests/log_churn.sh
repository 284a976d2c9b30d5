# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, writers, discards and the cleaner overlap
#
# A COW log whose limit is little more than what lives in it, written over and
# over: fio writes and verifies in two thirds of the device, pass after pass, while
# a third is written, discarded and compared. The cleaner makes all the room there
# is. Then all is verified, also after a re-attach. It ends when five times the
# limit is written, however long that takes, and with cloopw_churn=SECONDS on the
# kernel's command line not before that time.

seconds=$(sed -n 's/.*cloopw_churn=\([0-9]*\).*/\1/p' /proc/cmdline)
seconds=${seconds:-0}
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
mib=$((1 << 20))
limit=72 # MiB, for 48 of data, and a header to each 4 KiB

mke2fs -q -F -t ext4 "$(disk 0)"
mkdir host
mount "$(disk 0)" host
defer umount host
modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
truncate -s 48M raw
mkcloopw -q -f raw host/base.cloopw
must "attached" cloopwsetup -c host/cow --cow-limit ${limit}M $dev host/base.cloopw

# pass SEED OPTIONS...: two jobs over 16 MiB each
pass() {
	local seed=$1
	shift
	fio --name=churn --filename=$dev --direct=1 --ioengine=libaio \
		--rw=randwrite --bsrange=4k-64k --iodepth=8 --numjobs=2 \
		--size=16m --offset_increment=16m --randseed="$seed" \
		--verify=crc32c --verify_fatal=1 --group_reporting "$@"
}

# third: its share of the device, from 32 MiB on, against a file with the same
truncate -s 16M model
third() {
	local at n round
	for ((round = 0; ; round++)); do
		[ ! -e stop ] || break
		head -c ${mib} /dev/urandom >part
		at=$((RANDOM % 240 * 16)) # in pages
		dd if=part of=$dev bs=4k seek=$((8192 + at)) oflag=direct \
			conv=notrunc status=none
		dd if=part of=model bs=4k seek=$at conv=notrunc status=none
		at=$((RANDOM % 3584))
		n=$((RANDOM % 512 + 1))
		blkdiscard -f -o $((32 * mib + at * 4096)) -l $((n * 4096)) $dev
		dd if=/dev/zero of=model bs=4k seek=$at count=$n conv=notrunc \
			status=none
		[ $((round % 8)) != 0 ] || third_holds
	done
	echo "$round rounds of the other third" >third.done
}
third_holds() {
	dd if=$dev bs=${mib} skip=32 iflag=direct status=none | cmp - model
}
third 2>third.log & # blkdiscard -f: others have the device open, too
third=$!

written() { awk '{ print int($7 / 2048) }' /sys/block/cloopw0/stat; } # MiB
churn() {
	local end=$((SECONDS + seconds)) n
	for ((n = 1; SECONDS < end || $(written) <= 5 * limit; n++)); do
		pass $n --do_verify=1 >fio.log 2>&1 || {
			cat fio.log
			return 1
		}
		blkdiscard -f -o $((RANDOM % 24 * mib)) -l $((4 * mib)) $dev
		kill -0 "$third"
		test "$(stat -c %s host/cow)" -le $((limit * mib))
		echo "$n passes of fio" >passes
	done
}
check "passes of fio until it was written over several times" churn
touch stop
wait "$third" || cat third.log
check "the third that was discarded in between" cat passes third.done
diag "$(cat passes), $(cat third.done)"
diag "written: $(written) MiB, with a limit of $limit MiB"
check "state ok" test "$(cat $sys/state)" = ok

all_holds() {
	pass 0 --verify_only
	third_holds
}
check "the last pass" pass 0 --do_verify=1
check "all of it" all_holds
must "detached" cloopwsetup -d $dev
check "the file is within its limit" test "$(stat -c %s host/cow)" -le $((limit * mib))
must "attached again" cloopwsetup -c host/cow $dev host/base.cloopw
check "all of it after a re-attach" all_holds
