# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The same system with an initramfs made by dracut.

other_initramfs "$work/initrd" dracut-core \
	'dracut --no-hostonly --force /initrd "$release"'
make_extra

direct 'cloopw.image=LABEL=CLOOPW:/live/root.cloopw'
vm_options[3]=$work/initrd
with cdrom "$live.iso"
with disk "$work/extra.img" readonly=on
vm_mem=1024 vm_start "${vm_options[@]}"
vm_login 400
check 'the root is on cloopw' guest \
	'[ $(findmnt -n -o SOURCE /) = $(readlink -f /dev/cloopw0) ]'
check 'read-write' guest 'findmnt -n -o OPTIONS / | grep -q ^rw'
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
install_package
[ "$live_driver" != ublk ] || check 'a killed server of the root is followed by another' guest \
	'sh /mnt/kill-server server 2'
guest 'umount /mnt' || :
vm_off

# dracut's shell, when the medium is not there
vm_panic=
direct 'cloopw.image=LABEL=NOWHERE:/live/root.cloopw cloopw.wait=3'
vm_options[3]=$work/initrd
vm_mem=1024 vm_start "${vm_options[@]}"
vm_expect 'the live medium LABEL=NOWHERE is not there' 200 ||
	stop 'what is missing is not named'
ok 'what is missing is named'
vm_expect 'Press Enter for maintenance' 60 || stop 'no shell'
vm_type ''
# it is deaf before it asks
vm_expect 'sh-[0-9.]+#' 60 || stop 'no shell'
# the console also shows the typed command, but that has no sum
vm_type 'echo shell-$((40 + 2))'
check 'and there is a shell' vm_expect 'shell-42' 60
vm_kill
rm -f "$work/initrd"
