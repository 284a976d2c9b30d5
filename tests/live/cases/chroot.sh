# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# cloopw-chroot on a root that is mounted read-only. The next boot carries on with the
# changes of that session, and so does a chroot after that.

make_rw 256M

boot_rw cloopw.ro
check 'nothing failed' guest '[ -z "$(systemctl --failed --no-legend)" ]'
check 'the root is read-only' guest '! touch /etc/made'
check 'a place for the COW file' guest 'mount LABEL=CLOOPW-RW /mnt'
check 'in the chroot it can be written' guest \
	'cloopw-chroot -c /mnt/cow sh -c "echo one >/etc/made; test -e /proc/1 && test -c /dev/null && test -d /sys/block"'
check 'the status is that of the command' guest \
	'cloopw-chroot sh -c "exit 7"; [ $? = 7 ]'
check 'outside nothing has changed' guest '[ ! -e /etc/made ]'
check 'nothing is left' guest \
	'[ "$(cloopwsetup -l | grep -c /dev/cloopw)" = 1 ] && ! grep cloopw-chroot /proc/mounts'
check 'in memory it begins anew' guest 'cloopw-chroot sh -c "test ! -e /etc/made"'
check 'with the file it goes on' guest 'cloopw-chroot -c /mnt/cow grep -x one /etc/made'
check 'the place is free' guest 'umount /mnt'
vm_off

boot_rw cloopw.cow=LABEL=CLOOPW-RW:/cow
check 'the next boot has it' guest 'grep -x one /etc/made'
check 'and refuses a chroot, as it is writable' guest '! cloopw-chroot true'
check 'another change' guest 'echo two >/etc/made'
vm_off

boot_rw cloopw.ro cloopw.cow=LABEL=CLOOPW-RW:/cow
check 'read-only, with the changes' guest 'grep -x two /etc/made'
check 'a chroot over them, in memory' guest \
	'cloopw-chroot sh -c "grep -x two /etc/made && echo three >/etc/made"'
check 'a COW file of that, which is not frozen, is refused' guest \
	'! cloopw-chroot -c /run/cow true && [ ! -e /run/cow ]'
check 'left alone by it' guest 'grep -x two /etc/made'
vm_off
