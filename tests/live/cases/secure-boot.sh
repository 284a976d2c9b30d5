# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The ISO under UEFI with Secure Boot and Microsoft's keys. The kernel refuses the module,
# which nobody signed, so the root is on ublk. Changes are kept.

live_driver='' medium >&2
make_rw 512M
cp /usr/share/OVMF/OVMF_VARS_4M.ms.fd "$work/vars.fd"

# boot: the menu's second entry keeps changes
boot() {
	vm_options=(-machine smm=on
		-global driver=cfi.pflash01,property=secure,value=on
		-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.ms.fd
		-drive "if=pflash,unit=1,format=raw,file=$work/vars.fd")
	with cdrom "$live.iso"
	with disk "$work/rw.img"
	vm_mem=1024 vm_start "${vm_options[@]}"
	vm_expect 'changes are kept' 300 || stop 'no boot menu'
	printf '\x1b[B\r' >&"$vm_keys"
	vm_login 900
}

boot
check 'Secure Boot is enabled' guest 'mokutil --sb-state | grep -x "SecureBoot enabled"'
check 'the kernel says so, too' guest 'dmesg | grep -i "secure boot enabled"'
check 'the root is on ublk' guest 'findmnt -n -o SOURCE / | grep -x "/dev/ublkb[0-9]*"'
check 'no module of ours is in use' guest '[ ! -e /sys/module/cloopw ]'
check 'there is one, without a signature' guest \
	'[ ! "$(modinfo -F signer cloopw)" ] && modinfo -n cloopw'
check 'the kernel refuses it' guest \
	'! insmod $(modinfo -n cloopw) 2>/dev/shm/error; grep "Key was rejected" /dev/shm/error'
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
check 'the root is writable' guest 'echo kept >/etc/kept; sync'
vm_off
boot
check 'Secure Boot is still enabled' guest 'mokutil --sb-state | grep -x "SecureBoot enabled"'
check 'the second boot sees the file' guest 'grep -x kept /etc/kept'
vm_off
