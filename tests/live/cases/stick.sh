# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# A USB stick with one FAT32 partition, which holds the image and the COW. It boots by
# its own boot loader, over a clean shutdown and a power cut.

medium --stick 1G >&2
cp --sparse=always "$live.img" "$work/stick.img"
make_extra

# boot: the menu's second entry keeps changes
boot() {
	vm_options=(-device qemu-xhci -drive
		"if=none,id=stick,format=raw,file=$work/stick.img"
		-device 'usb-storage,drive=stick,bootindex=0')
	with disk "$work/extra.img" readonly=on
	vm_start "${vm_options[@]}"
	vm_expect 'changes are kept' 120 || stop 'no boot menu'
	printf '\x1b[B\r' >&"$vm_keys"
	vm_login 500
}

boot
install_package
check 'a file is written' guest 'echo kept >/etc/kept; sync'
vm_off
check 'FAT is clean' sh -c "mdir -i '$work/stick.img@@1M' ::/cloopw | grep -i changes"
boot
check 'the file is there' guest 'grep -x kept /etc/kept'
guest 'mount -r LABEL=EXTRA /mnt' || :
has_package
vm_type 'sh /mnt/write-on'
vm_expect 'fsynced 5 ' 180 || stop 'nothing is written'
vm_kill
ok 'pulled in the middle of writing'
boot
check 'the file is there' guest 'grep -x kept /etc/kept'
tr -d '\r' <"$work/console.2" | sed -n 's/^fsynced [0-9]* //p' >"$work/sums"
while read -r sum file; do
	check "fsynced file $file is intact" guest "echo '$sum  $file' | sha256sum -c -"
done <"$work/sums"
vm_off
