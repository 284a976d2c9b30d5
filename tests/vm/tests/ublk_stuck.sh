# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# A medium that does not answer, below the COW of a device by ublk: a detach ends all the
# same, and says what that means.

# shellcheck disable=SC2034  # of what is sourced
driver=ublk_drv
# shellcheck source=tests/vm/lib/flaky.sh
. /cloopw/lib/flaky.sh
# shellcheck source=tests/vm/lib/ublkd.sh
. /cloopw/lib/ublkd.sh
make_medium 128 32
head -c 4M /dev/urandom >data
allow_console 'I/O error|Buffer|dm-|lost|device-mapper'

attach() { cloopwsetup --userspace=ublk -c host/cow "$dev" base.cloopw; }
flush_it() { dd if=data of="$dev" bs=4k count=1 conv=notrunc,fsync status=none; }
has_no_process() { [ -z "$(processes cloopw-ublkd; processes cloopw-watch)" ]; }
stops() {
	dmsetup --noudevsync suspend --noflush --nolockfs medium
	defer 'dmsetup --noudevsync resume medium 2>/dev/null || :'
}
answers() { dmsetup --noudevsync resume medium; }

mke2fs -q -F -t ext4 "$medium"
mount "$medium" host
defer 'umount host 2>/dev/null || :'
must "attach" attach
check "written" flush_it
stops
read -r _ worker < <(family)
kill -9 "$worker"
begin=$SECONDS
refuses "a detach ends, and says that data may be lost" 'detached, but' cloopwsetup -d "$dev"
diag "after $((SECONDS - begin)) s"
check "within 100 s" test $((SECONDS - begin)) -lt 100
check "the device is gone" test ! -e /dev/ublkb0
answers
check "no process is left" wait_for 20 has_no_process
must "attached again" attach
check "it has what was flushed" cmp -n 4096 data "$dev"
check "detach" cloopwsetup -d "$dev"
check "the COW is sound" cloopwck host/cow
umount host
