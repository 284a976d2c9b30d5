# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# One boot of tests/vm/kill. Disk 0 is an ext4 that keeps a base and its COW
# log; the VM before this one was killed while it wrote. Checks what that left,
# then writes until it is killed too. /killed/sums has every file that was ever
# reported as fsynced; a boot named "last" only checks.

boot=$(sed -n 's/.*cloopw_boot=\([a-z0-9]*\).*/\1/p' /proc/cmdline)
modprobe cloopw
dev=/dev/cloopw0
mkdir host mnt
mount "$(disk 0)" host
if [ "$boot" = 0 ]; then
	truncate -s 256M host/base
	mke2fs -q -F -t ext4 host/base
	sync
fi
must "boot $boot: attached" cloopwsetup --cow-format log -c host/cow $dev \
	host/base
# the ext4 on it replays its own journal
must "boot $boot: mounted" mount $dev mnt
umount mnt
check "boot $boot: fsck is clean" e2fsck -fn $dev
must "boot $boot: mounted again" mount $dev mnt
kept=$(wc -l </killed/sums)
check "boot $boot: the $kept fsynced files are intact" \
	sh -c 'cd mnt && { [ ! -s /killed/sums ] || sha256sum -c --quiet /killed/sums; }'

# churn N: overwrites and deletes without end, so that the cleaner has work
churn() {
	local i
	for ((i = 0; ; i++)); do
		head -c 3M /dev/urandom |
			dd of="mnt/churn$1.$((i % 4))" bs=64k conv=notrunc status=none
		[ $((i % 5)) != "$1" ] || rm -f mnt/churn"$1".*
		[ $((i % 7)) != "$1" ] || fstrim mnt
	done
}

if [ "$boot" != last ]; then
	churn 1 &
	churn 2 &
	mkdir -p "mnt/$boot"
	for ((i = 1; ; i++)); do
		name=$boot/$i
		head -c $((RANDOM * 11 + 1)) /dev/urandom >"mnt/$name"
		sync "mnt/$name" "mnt/$boot" mnt
		diag "fsynced $(cd mnt && sha256sum "$name")"
	done
fi
umount mnt
cloopwsetup -d $dev
umount host
rmmod cloopw
