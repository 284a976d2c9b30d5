# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The server of a root on ublk is killed while programs write there; then with its
# supervisor. Another server goes on, and nobody sees an error.

live_driver=ublk

boot() {
	boot_rw cloopw.cow=LABEL=CLOOPW-RW:/cow
	check 'the disk with the programs' guest 'mount -r LABEL=EXTRA /mnt'
}

# killed NAME WHAT TIMES
killed() {
	check "$1" guest "sh /mnt/kill-server $2 $3"
	check 'writing goes on' guest \
		'n=$(wc -l </dev/shm/said); for i in $(seq 60); do [ $(wc -l </dev/shm/said) -le $n ] || break; sleep 1; done; [ $(wc -l </dev/shm/said) -gt $n ]'
	check 'the device is well' guest 'cloopwsetup -ln -O state | grep -x ok'
}

make_rw 512M
make_extra
boot
check 'programs write' guest \
	'{ sh /mnt/write-on >/dev/shm/said 2>/dev/shm/errors & }; until grep -q "fsynced 2 " /dev/shm/said; do sleep 1; done'
guest_seconds=300
killed 'the server is killed ten times' server 10
killed 'the server and its supervisor are killed three times' both 3
killed 'the next server alone' server 2
check 'nobody saw an error' guest \
	'[ ! -s /dev/shm/errors ] && ! dmesg | grep -iE "i/o error|ext4-fs.*error|aborting journal|blocked for more"'
check 'no more is written' guest 'kill %1; wait; sed -n "s/^fsynced [0-9]* //p" /dev/shm/said >/root/sums; sync'
check 'what was synced is read from the device' guest \
	'echo 3 >/proc/sys/vm/drop_caches; sha256sum --quiet -c /root/sums'
check 'the root is still writable' guest 'findmnt -n -o OPTIONS / | grep -q ^rw'
guest 'umount /mnt' || :
vm_off
boot
check 'the next boot has it all' guest 'sha256sum --quiet -c /root/sums; wc -l /root/sums'
check 'no file system complains' guest '! dmesg | grep -iE "ext4-fs.*error|i/o error|corrupt"'
guest 'umount /mnt' || :
vm_off
