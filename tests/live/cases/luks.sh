# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# Changes on an encrypted disk: the initramfs of cryptsetup-initramfs opens it by its crypttab,
# with a passphrase from the console.

# make_luks: $work/rw.img, whose content is a file system LABEL=CLOOPW-RW. nbdkit encrypts, so
# that this needs no device-mapper.
make_luks() {
	local plain=$work/plain.img
	printf secret >"$work/key"
	truncate -s 300M "$work/rw.img"
	cryptsetup luksFormat -q --type luks1 --iter-time 10 "$work/rw.img" "$work/key"
	truncate -s "$(opened 'nbdinfo --size "$uri"')" "$plain"
	mke2fs -q -t ext4 -L CLOOPW-RW "$plain"
	plain=$plain opened 'nbdcopy "$plain" "$uri"'
	rm "$plain"
}

# opened COMMAND: $uri has the content
opened() {
	nbdkit -U - --filter=luks file "$work/rw.img" passphrase="+$work/key" --run "$1"
}

boot() {
	direct 'cloopw.image=LABEL=CLOOPW:/live/root.cloopw' \
		'cloopw.cow=LABEL=CLOOPW-RW:/changes.cow'
	vm_options[3]=$work/initrd
	with cdrom "$live.iso"
	with disk "$work/rw.img"
	vm_mem=1024 vm_start "${vm_options[@]}"
	# the prompt is no whole line
	vm_expect 'changes' 200 || stop 'nobody asks for the passphrase'
	sleep 3
	vm_type secret
	vm_login 400
}

make_luks
uuid=$(cryptsetup luksUUID "$work/rw.img")
other_initramfs "$work/initrd" cryptsetup-initramfs \
	"echo 'changes UUID=$uuid none luks,initramfs' >/etc/crypttab
	mkinitramfs -o /initrd \"\$release\""

boot
check 'changes go to the encrypted disk' guest \
	'findmnt -n -o SOURCE /run/initramfs/cloopw/persistent | grep -x /dev/mapper/changes'
guest 'echo kept >/etc/kept' || :
vm_off
boot
check 'the next boot has them' guest 'grep -x kept /etc/kept'
vm_off
check 'nothing of them can be read on the disk' sh -c "! grep -q cloopwC '$work/rw.img'"
rm -f "$work/initrd"
