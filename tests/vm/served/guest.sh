# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest of tests/vm/nbd.

device=$(disk 0)
mkdir mnt
must "mount" mount "$device" mnt
defer 'umount mnt 2>/dev/null || :'
check "the tree is there" grep -q "cloopw" mnt/design.md
head -c 9000000 /dev/urandom >mnt/written
sha256sum <mnt/written >sum
rm mnt/design.md
check "discard" fstrim mnt
must "unmount" umount mnt
must "mount again" mount "$device" mnt
check "the same" cmp <(sha256sum <mnt/written) sum
umount mnt
send sum
