# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The disk under a COW is pulled out while fio writes, and put in again: as a bare
# device and under ext4. What was synced before is there.

must "the modules load" modprobe -a cloopw sd_mod
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
modprobe scsi_debug dev_size_mb=160 delay=0
defer 'modprobe -r scsi_debug'
truncate -s 32M raw
mkcloopw -q raw base.cloopw
head -c 8M /dev/urandom >first
mkdir host

# its name changes with each time
disk_is_there() { test -b "$(disk_path)"; }
disk_path() {
	local dir
	for dir in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*; do
		[ ! -e "$dir" ] || echo "/dev/${dir##*/}"
	done
}
pull_out() { echo 1 >"/sys/block/${medium##*/}/device/delete"; }
put_in() {
	echo '- - -' >"$host/scan"
	wait_for 20 disk_is_there
}
state_is() { test "$(cat $sys/state)" = "$1"; }
refused() { ! "$@"; }

# pulled HOLDER: device or ext4
pulled() {
	local writer
	medium=$(disk_path)
	cow=$medium
	if [ "$1" = ext4 ]; then
		mke2fs -q -F -t ext4 "$medium"
		mount "$medium" host
		cow=host/cow
	fi
	must "$1: attached" cloopwsetup --force -c "$cow" $dev base.cloopw
	must "$1: written" dd if=first of=$dev bs=1M conv=notrunc,fsync
	fio --name=w --filename=$dev --rw=randwrite --bs=4k --direct=1 --fsync=8 \
		--offset=8m --size=24m --time_based --runtime=600 \
		--ioengine=libaio --iodepth=8 >fio.log 2>&1 &
	writer=$!
	sleep 2
	pull_out
	check "$1: the writer gets the error" refused wait_for_writer
	check "$1: the state tells it" wait_for 20 state_is failed
	check "$1: so does a sync" refused dd if=first of=$dev bs=4k count=1 \
		conv=notrunc,fsync
	refuses "$1: and the detach" 'could be stored|cannot detach' cloopwsetup -d $dev
	cloopwsetup -d $dev 2>/dev/null || :
	check "$1: it is detached" state_is idle
	[ "$1" != ext4 ] || umount host
	must "$1: the disk is there again" put_in
	medium=$(disk_path)
	cow=$medium
	if [ "$1" = ext4 ]; then
		mount "$medium" host
		cow=host/cow
	fi
	must "$1: attached again" cloopwsetup -c "$cow" $dev base.cloopw
	check "$1: what was synced is there" cmp -n $((8 << 20)) first $dev
	must "$1: detached" cloopwsetup -d $dev
	check "$1: cloopwck finds no fault" cloopwck -q "$cow" base.cloopw
	[ "$1" != ext4 ] || umount host
}
wait_for_writer() {
	wait_for 60 writer_has_ended
	grep -q 'err= 0' fio.log
}
writer_has_ended() { ! kill -0 "$writer" 2>/dev/null; }

wait_for 20 disk_is_there
host=$(echo /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/scsi_host/host*)
pulled device
pulled ext4
