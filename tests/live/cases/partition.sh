# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The changes are kept on a whole partition, without a file system: over a clean
# shutdown and a power cut.

boot() {
	boot_rw cloopw.cow=PARTLABEL=changes
}

truncate -s 256M "$work/rw.img"
echo 'size=200M, name=changes' | sfdisk -q --label gpt "$work/rw.img"

boot
check 'a file is written' guest 'echo kept >/etc/kept'
vm_off
boot
check 'the file is there' guest 'grep -x kept /etc/kept'
check 'another one, synced' guest 'echo synced >/etc/synced; sync /etc/synced /etc'
vm_kill
boot
check 'both are there after a power cut' guest \
	'grep -x kept /etc/kept && grep -x synced /etc/synced'
vm_off
