# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# What a machine may lack for ublk, and what may happen to a device of it: each ends in a
# clear message, and the device answers, if only with errors. A detach always works.

# shellcheck source=tests/vm/lib/ublkd.sh
. /cloopw/lib/ublkd.sh
modprobe -a sd_mod loop
defer 'cloopwsetup -D 2>/dev/null; rmmod ublk_drv 2>/dev/null || :'
truncate -s 32M raw
mkcloopw -q raw base.cloopw
head -c 16M /dev/urandom >data
mkdir small host

attach() {
	cloopwsetup --userspace=ublk -c "$1" /dev/cloopw0 base.cloopw
}
# answers CMD...: it ends, with success or with an error
answers() {
	"$@" &
	wait_for 10 test ! -d /proc/$!
}
write_it() {
	dd if=data of=/dev/cloopw0 bs=64k oflag=direct conv=notrunc,fsync status=none
}
read_it() {
	dd if=/dev/cloopw0 of=/dev/null bs=64k count=1 iflag=direct status=none
}
column() {
	cloopwsetup -ln -O "$1" | tr -d ' '
}
state_is() { test "$(column state)" = "$1"; }
# detached: nothing is left, whatever the detach says of lost data
detached() {
	cloopwsetup -d /dev/cloopw0 || :
	[ -z "$(cloopwsetup -ln -O NAME)" ]
	[ ! -e /dev/cloopw0 ] && ! ls /dev/ublkb* 2>/dev/null
	[ -z "$(processes cloopw-ublkd; processes cloopw-watch)" ]
}

# ---- what a machine may lack ----

drv=$(modinfo -n ublk_drv)
mv "$drv" away.ko
depmod
# shellcheck disable=SC2016  # the directory as it is then
defer "[ ! -e '$PWD/away.ko' ] || { mv '$PWD/away.ko' '$drv'; depmod; }"
refuses "a kernel without ublk_drv" 'module ublk_drv cannot be loaded' attach cow
check "no COW was made" test ! -e cow
mv away.ko "$drv"
depmod
mkdir -p /etc/modprobe.d
echo 'install ublk_drv /bin/false' >/etc/modprobe.d/no-ublk.conf
defer 'rm -f /etc/modprobe.d/no-ublk.conf'
refuses "a system that forbids ublk_drv" 'module ublk_drv cannot be loaded' attach cow
rm /etc/modprobe.d/no-ublk.conf
modprobe ublk_drv
refuses "a container whose filter forbids io_uring" 'seccomp profile' \
	without-uring 1 cloopwsetup --userspace=ublk -c cow /dev/cloopw0 base.cloopw
refuses "a container without io_uring" 'has no io_uring' \
	without-uring 38 cloopwsetup --userspace=ublk -c cow /dev/cloopw0 base.cloopw
check "no COW was made" test ! -e cow

# ---- a state of another boot ----

must "attach" attach cow
cp -a /run/cloopw/0 state
check "detach" detached
cp -a state /run/cloopw/0
sed -i 's/"boot": *"[^"]*"/"boot": "of another time"/' /run/cloopw/0/state
check "a state of another boot shows" state_is incomplete
must "an attach clears it away" attach cow
check "and is well" state_is ok
check "written" write_it

# ---- the same COW twice, and one of a server that is lost ----

refuses "a second server of the COW" 'in use' \
	cloopwsetup --userspace=ublk -c cow /dev/cloopw1 base.cloopw
for pid in $({ processes cloopw-watch; processes cloopw-ublkd; } | awk '{ print $2 }'); do
	kill -KILL "$pid"
done
check "all its processes killed: the state shows" wait_for 10 state_is failed
refuses "its device is not attached twice" 'in use' attach cow
check "detach" detached
must "and attached again" attach cow
check "it has the data" cmp -n 16777216 data /dev/cloopw0
check "detach" detached

# ---- the COW is full while it is recovered ----

mount -t tmpfs -o size=6M tmpfs small
defer 'umount small 2>/dev/null'
must "attach" attach small/cow
refuses "more is written than there is space" 'No space left|Input/output' write_it
check "the state is full" wait_for 10 state_is full
check "a killed server's device goes on" kill_worker
check "a write ends" answers write_it
check "the state is full again" wait_for 10 state_is full
check "a read works" read_it
mount -o remount,size=40M small
check "with space again, it is well" wait_for 20 state_is ok
check "and is written" write_it
check "detach" detached
check "the COW is sound" cloopwck small/cow
umount small

# ---- the disk of the COW is gone ----

modprobe scsi_debug dev_size_mb=160 delay=0
defer 'modprobe -r scsi_debug'
disk_path() {
	local dir
	for dir in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*; do
		[ ! -e "$dir" ] || echo "/dev/${dir##*/}"
	done
}
disk_is_there() { test -b "$(disk_path)"; }
must "a disk" wait_for 20 disk_is_there
medium=$(disk_path)
mke2fs -q -F -t ext4 "$medium"
mount "$medium" host
defer 'umount host 2>/dev/null'
must "attach" attach host/cow
check "written" write_it
allow_console 'EXT4-fs|I/O error|JBD2|Buffer|Aborting|scsi|sd[a-z]'
echo 1 >"/sys/block/${medium##*/}/device/delete"
check "the disk is gone: a write ends" answers write_it
check "the state tells it" wait_for 20 state_is failed
check "a read ends" answers read_it
read -r _ worker < <(family)
kill -KILL "$worker"
check "its server is killed, too: a read ends" answers read_it
check "detach" detached
umount host
