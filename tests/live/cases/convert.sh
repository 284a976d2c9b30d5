# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# An ISO with a squashfs, in the layout of live-build, that cloopw-convert-iso made writable:
# it boots by its own menu, in memory first, then with a disk that keeps the changes.

# make_squashfs_iso FILE
make_squashfs_iso() {
	local medium=$work/medium
	mkdir -p "$medium"/{live,boot/grub}
	mksquashfs "$live/root" "$medium/live/filesystem.squashfs" -quiet -no-progress \
		-comp gzip -Xcompression-level 1 >"$work/mksquashfs.log"
	cp "$live/root.boot/vmlinuz" "$medium/live/vmlinuz"
	echo none >"$medium/live/initrd.img"
	cat >"$medium/boot/grub/grub.cfg" <<-END
		serial --unit=0 --speed=115200
		terminal_input console serial
		terminal_output console serial
		set timeout=1
		menuentry "Live system" {
		  linux /live/vmlinuz boot=live components quiet console=tty0 console=ttyS0,115200
		  initrd /live/initrd.img
		}
	END
	grub-mkrescue -d /usr/lib/grub/i386-pc -o "$1" "$medium" -volid 'OLD LIVE' \
		>"$work/iso.log" 2>&1
	rm -r "$medium"
}

# boot DISK...: of the new ISO
boot() {
	local image
	vm_options=()
	with cdrom "$work/new.iso"
	for image; do
		with disk "$image"
	done
	vm_start "${vm_options[@]}" -boot d
	vm_login 400
	check 'the root is on cloopw' guest \
		'[ $(findmnt -n -o SOURCE /) = $(readlink -f /dev/cloopw0) ]'
	check 'read-write' guest 'findmnt -n -o OPTIONS / | grep -q ^rw'
}

make_squashfs_iso "$work/old.iso"
check 'the ISO is converted' env PATH="$top/build/bin:$PATH" \
	"$top/live/cloopw-convert-iso" --work "$work" "$work/old.iso" "$work/new.iso"

boot
check 'changes are in memory' guest 'cloopwsetup -ln -O cow | grep -q mem'
check 'the boot says why' guest 'grep -q CLOOPW-RW /run/initramfs/cloopw/not-persistent'
vm_off

make_rw 256M
boot "$work/rw.img"
check 'changes go to the disk' guest \
	'cloopwsetup -ln -O cow | grep -q changes.cow; echo kept >/etc/kept'
vm_off
boot "$work/rw.img"
check 'the next boot has them' guest 'grep -x kept /etc/kept'
vm_off
rm -f "$work"/*.iso
