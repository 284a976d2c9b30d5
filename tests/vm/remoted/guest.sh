# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest of tests/vm/remote: a base and a COW log on disks of another machine, which
# goes away in the middle of writing and comes back. NBD: nbdkit and nbd-client. iSCSI: the
# kernel's target on the loopback network, and iscsistart.

must "the modules load" modprobe -a cloopw nbd iscsi_tcp target_core_file iscsi_target_mod sd_mod
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
name=iqn.2005-06.org.cloopw:disks
configfs=/sys/kernel/config
target=$configfs/target
times=0
ip link set lo up 2>/dev/null || ifconfig lo 127.0.0.1 up
mount -t configfs configfs $configfs
truncate -s 48M raw
mke2fs -q -F -t ext4 raw
mkcloopw -q raw base.cloopw
head -c 6M /dev/urandom >first
mkdir mnt

# ---- NBD ----

# nbd_back: two servers, and their devices
nbd_back() {
	local n=0 file
	for file in base cow; do
		rm -f "$file.socket" "$file.pid"
		nbdkit -U "$PWD/$file.socket" -P "$PWD/$file.pid" file "$PWD/$file.disk"
		wait_for 20 test -s "$file.pid"
		nbd-client -unix "$PWD/$file.socket" "/dev/nbd$n" -timeout 5
		n=$((n + 1))
	done
	base=/dev/nbd0 cow=/dev/nbd1
}
nbd_gone() {
	kill -KILL "$(cat cow.pid)" "$(cat base.pid)"
	sleep 1
	nbd-client -d /dev/nbd0
	nbd-client -d /dev/nbd1
}
nbd_leave() {
	nbd-client -d /dev/nbd0
	nbd-client -d /dev/nbd1
	kill "$(cat cow.pid)" "$(cat base.pid)"
}

# ---- iSCSI ----

# iscsi_stores: base.disk and cow.disk
iscsi_stores() {
	local file store
	for file in base cow; do
		store=$target/core/fileio_0/$file
		mkdir -p "$store"
		echo "fd_dev_name=$PWD/$file.disk,fd_dev_size=$(stat -c %s $file.disk)" >"$store/control"
		echo 1 >"$store/enable"
		echo 1 >"$store/attrib/emulate_write_cache"
	done
}
# iscsi_target: these as LUN 0 and 1, for all on this machine. iscsistart cannot leave a
# target and come back, so each time has another.
iscsi_target() {
	times=$((times + 1))
	portal=$target/iscsi/$name$times/tpgt_1
	mkdir -p "$portal/lun/lun_0" "$portal/lun/lun_1"
	ln -s $target/core/fileio_0/base "$portal/lun/lun_0/base"
	ln -s $target/core/fileio_0/cow "$portal/lun/lun_1/cow"
	echo 0 >"$portal/attrib/authentication"
	echo 1 >"$portal/attrib/generate_node_acls"
	echo 0 >"$portal/attrib/demo_mode_write_protect"
	mkdir "$portal/np/127.0.0.1:3260"
	echo 1 >"$portal/enable"
}
iscsi_disk() {
	local dir
	for dir in /sys/class/iscsi_session/session*/device/target*/*:"$1"/block/*; do
		[ ! -e "$dir" ] || echo "/dev/${dir##*/}"
	done
}
iscsi_disks() { [ "$(iscsi_disk 0)" ] && [ "$(iscsi_disk 1)" ]; }
iscsi_back() {
	iscsi_target
	iscsistart -i iqn.2005-06.org.cloopw:machine -t "$name$times" -g 1 -a 127.0.0.1 -p 3260
	wait_for 30 iscsi_disks
	base=$(iscsi_disk 0) cow=$(iscsi_disk 1)
}
# a machine that waits for its disk two seconds
iscsi_gone() {
	local session
	for session in /sys/class/iscsi_session/session*; do
		echo 2 >"$session/recovery_tmo"
	done
	echo 0 >"$portal/enable"
	sleep 4
}
iscsi_forget() {
	local disk
	for disk in $(iscsi_disk 0) $(iscsi_disk 1); do
		echo 1 >"/sys/block/${disk##*/}/device/delete"
	done
}
iscsi_leave() { iscsi_forget; }

# ---- either ----

state_is() { test "$(cat $sys/state)" = "$1"; }
# the disks of another machine, as files
new_disks() {
	rm -f base.disk cow.disk
	cp base.cloopw base.disk
	truncate -s %1M base.disk
	truncate -s 96M cow.disk
}

# remote WAY
remote() {
	local way=$1 writer
	must "$way: attached" cloopwsetup -c "$cow" $dev "$base"
	must "$way: mounted" mount $dev mnt
	cp first mnt/first
	must "$way: synced" sync -f mnt/first
	fio --name=w --filename=mnt/file --rw=randwrite --bs=4k --size=16m --time_based \
		--runtime=600 --fsync=8 >fio.log 2>&1 &
	writer=$!
	sleep 2
	"${way}_gone"
	if wait "$writer"; then
		fail "$way: a writer gets the error" "it ended well"
	else
		ok "$way: a writer gets the error"
	fi
	check "$way: the state tells it" wait_for 60 state_is failed
	umount mnt
	# the first tells of the loss and leaves the device, the second detaches it
	cloopwsetup -d $dev 2>/dev/null || cloopwsetup -d $dev 2>/dev/null || :
	check "$way: it can be detached" state_is idle
	[ "$way" != iscsi ] || iscsi_forget
	"${way}_back"
	must "$way: attached again" cloopwsetup -c "$cow" $dev "$base"
	must "$way: the file system recovers" mount $dev mnt
	check "$way: what was synced is there" cmp first mnt/first
	umount mnt
	check "$way: e2fsck finds no fault" e2fsck -fn $dev
	must "$way: detached" cloopwsetup -d $dev
	check "$way: cloopwck finds no fault" cloopwck -q "$cow" "$base"
	"${way}_leave"
}

allow_console 'I/O error|nbd|[Cc]onnection|iSCSI|session|EXT4|lost|cloopw|rejecting|Aborting|JBD2'
new_disks
nbd_back
remote nbd
new_disks
must "iSCSI: the disks of a target" iscsi_stores
iscsi_back
remote iscsi
