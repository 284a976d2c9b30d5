# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The ISO, by its own boot menu (without it, when the driver is a parameter): a writable root
# whose changes are in RAM.

make_extra
vm_options=()
[ ! "$live_driver" ] || direct cloopw.image=LABEL=CLOOPW:/live/root.cloopw
with cdrom "$live.iso"
with disk "$work/extra.img" readonly=on
vm_start "${vm_options[@]}" -boot d
vm_login 400
check 'the root is on cloopw' guest \
	'[ $(findmnt -n -o SOURCE /) = $(readlink -f /dev/cloopw0) ]'
check 'read-write' guest 'findmnt -n -o OPTIONS / | grep -q ^rw'
check 'its COW is in RAM' guest 'cloopwsetup -l; cloopwsetup -ln -O cow | grep -q mem'
check 'what ends the machine is there from the beginning' guest \
	'test -x /run/initramfs/shutdown && test -x /run/initramfs/bin/cloopwsetup'
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
check 'it has an identity' guest '[ $(wc -c </etc/machine-id) = 33 ]'
check 'D-Bus has the same' guest 'cmp /etc/machine-id /var/lib/dbus/machine-id'
check 'its keys were made' guest 'systemctl is-active -q cloopw-secrets'
check 'none was in the image' test -z "$("$top/live/secrets" find "$live/root")"
check 'nor an identity' test ! -s "$live/root/etc/machine-id"
install_package
guest 'umount /mnt' || :
vm_off
