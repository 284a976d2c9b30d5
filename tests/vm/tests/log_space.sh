# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# COW logs and the space they live in: a file system filled to the last byte
# and freed again, discards, the limit, a medium that fails; what sysfs says and
# the events that tell of it.

modprobe -a cloopw loop
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
mib=$((1 << 20))
size=40 # MiB of the device

udevadm monitor --kernel --property --subsystem-match=block >events &
defer "kill $!"

truncate -s ${size}M raw
mkcloopw -q raw base.cloopw
head -c ${size}M /dev/urandom >data

state_is() { test "$(cat $sys/state)" = "$1"; }
# event PATTERN: since the last mark_events, one that has it
mark_events() { events_seen=$(wc -l <events); }
event() { tail -n "+$((events_seen + 1))" events | grep -q "$1"; }
# told STATE: it is the last one of which an event told. The watch looks every two
# seconds, so it tells of no state that lasts shorter.
told() { grep '^CLOOPW_STATE=' events | tail -n 1 | grep -qx "CLOOPW_STATE=$1"; }
mark_events

# put FROM COUNT: MiB of data at their place
put() {
	dd if=data of=$dev bs=$mib skip="$1" seek="$1" count="$2" \
		oflag=direct conv=notrunc
}
# holds FROM COUNT: MiB are those of data, read anew from the COW
holds() {
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n $(($2 * mib)) -i $(($1 * mib)) data $dev
}
# how many MiB the last put wrote
# shellcheck disable=SC2154  # lib/guest.sh sets it
count_written() { sed -n 's/^\([0-9]*\)+.* records out$/\1/p' "$check_err"; }

# ---- full, and free again ----

# fills NAME DIR: a COW in a file system of 32 MiB
fills() {
	local name=$1 dir=$2 written
	mark_events
	must "$name: attached" cloopwsetup -c "$dir/cow" --low-space 60% $dev base.cloopw
	check "$name: state ok" state_is ok
	check "$name: the mark" test "$(cat $sys/low_space)" = 60%
	must "$name: half of it" put 0 14
	check "$name: low space is told" wait_for 20 event CLOOPW_LOW_SPACE=1
	check "$name: and it is ok" state_is ok
	dd if=/dev/zero of="$dir/other" bs=64k 2>/dev/null || :
	dd if=/dev/zero of="$dir/last" bs=1 2>/dev/null || :
	check "$name: no byte is left" \
		test "$(stat -f -c %a "$dir")" -lt 3
	refuses "$name: a write fails" 'No space' put 14 $((size - 14))
	written=$(count_written)
	check "$name: state full" state_is full
	check "$name: that is told" wait_for 20 event CLOOPW_STATE=full
	check "$name: nothing is available" wait_for 20 grep -qx 0 $sys/cow_available
	check "$name: a flush works" dd if=/dev/null of=$dev conv=fsync,notrunc
	check "$name: nothing is lost" holds 0 $((14 + written))
	check "$name: a discard works" blkdiscard -o $((2 * mib)) -l $((2 * mib)) $dev

	refuses "$name: full again" 'No space' put 14 $((size - 14))
	check "$name: that is told, too" wait_for 20 told full
	mark_events
	rm "$dir/other" "$dir/last"
	check "$name: others gave space back, which is noticed" wait_for 20 state_is ok
	check "$name: and told" wait_for 20 event CLOOPW_STATE=ok
	check "$name: writes work again" put 14 6
	check "$name: what was discarded is zeros" \
		cmp -n $((2 * mib)) -i $((2 * mib)) $dev raw
	must "$name: detached" cloopwsetup -d $dev
	must "$name: attached again" cloopwsetup -c "$dir/cow" $dev base.cloopw
	check "$name: what was written first" holds 0 2
	check "$name: and last" holds 4 16
	must "$name: detached again" cloopwsetup -d $dev
}

mkdir ext4 tmpfs
truncate -s 32M ext4.img
mke2fs -q -t ext4 -O ^has_journal ext4.img
mount -o loop ext4.img ext4
defer umount ext4
fills ext4 ext4
mount -t tmpfs -o size=32M tmpfs tmpfs
defer umount tmpfs
fills tmpfs tmpfs

# ---- discards ----

trims() {
	local peak
	truncate -s 64M fs
	mke2fs -q -t ext4 fs
	cloopwsetup -c trim.cow $dev fs
	mkdir mnt
	mount $dev mnt
	cp data mnt/
	sync
	peak=$(stat -c %b trim.cow)
	test "$((peak * 512))" -gt $((size * mib))
	rm mnt/data
	sync
	fstrim mnt
	stat -c '%b of' trim.cow
	echo "$peak"
	test "$(stat -c %b trim.cow)" -lt $((peak / 4))
	umount mnt
	cloopwsetup -d $dev
	e2fsck -fn fs
}
check "fstrim gives space back" trims

# ---- the limit ----

kernel_says_remedy() {
	dmesg | grep "the COW is full, .* another file with 'cloopwsetup --snapshot'" >/dev/null
}
limit_is() { test "$(cat $sys/cow_limit)" = $(($1 * mib)); }
mark_events
must "limited" cloopwsetup -c limited --cow-limit 16M $dev base.cloopw
check "the limit" limit_is 16
refuses "it is full at its limit" 'No space' put 0 $size
check "it is not longer" test "$(stat -c %s limited)" -le $((16 * mib))
check "state" state_is full
check "is told" wait_for 20 event CLOOPW_STATE=full
check "the kernel's log names the remedy" kernel_says_remedy
refuses "less than is in use" 'cow-limit 10M: more is in use' \
	cloopwsetup --cow-limit 10M $dev
check "it is as it was" limit_is 16
mark_events
must "more" cloopwsetup --cow-limit 64M $dev
check "is noticed" wait_for 20 state_is ok
check "and told" wait_for 20 event CLOOPW_STATE=ok
check "everything fits" put 0 $size
must "detach" cloopwsetup -d $dev
must "attach again" cloopwsetup -c limited $dev base.cloopw
check "the limit is in the file" limit_is 64
check "and so is the data" holds 0 $size
must "detach again" cloopwsetup -d $dev
must "another at an attach" cloopwsetup -c limited --cow-limit 0 $dev base.cloopw
check "none" limit_is 0
must "detach without" cloopwsetup -d $dev
refuses "less at an attach" 'cow-limit 20M: more is in use' \
	cloopwsetup -c limited --cow-limit 20M $dev base.cloopw
check "nothing is attached" state_is idle
rm limited

# ---- a medium that fails ----

fails() {
	local sectors=$((64 * 2048)) cow
	dmsetup --noudevsync create cow --table "0 $sectors linear $(disk 1) 0"
	cow=/dev/$(dmsetup info -c --noheadings -o blkdevname cow)
	# a test before may have left a COW of another image there
	dd if=/dev/zero of="$cow" bs=$mib count=4 status=none conv=fsync
	cloopwsetup --force -c "$cow" $dev base.cloopw
	put 0 4
	dmsetup --noudevsync suspend --noflush cow
	dmsetup --noudevsync load cow --table "0 $sectors error"
	dmsetup --noudevsync resume cow
	! dd if=data of=$dev bs=$mib count=4 seek=8 conv=fsync,notrunc || return 1
	wait_for 20 state_is failed
	wait_for 20 event CLOOPW_STATE=failed
	cloopwsetup -l
	cloopwsetup -n -O STATE | grep -qx 'failed *'
	! cloopwsetup -d $dev || return 1
	dmsetup --noudevsync remove cow
}
allow_console 'I/O error|lost async page write|cloopw'
mark_events
check "a medium that fails" fails
check "is detached" state_is idle
