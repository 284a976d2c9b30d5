# shellcheck shell=bash disable=SC2016,SC2154  # deferred; of the initramfs
# SPDX-License-Identifier: GPL-2.0
#
# udev's rules: what is on a cloopw device is known by label and UUID, as mount and
# fstab want it, and an idle device is hidden. Then what the initramfs makes of FAT.

defer 'cloopwsetup -D; rmmod cloopw 2>/dev/null || :'
dev=/dev/cloopw0
mkdir mnt
defer 'umount mnt 2>/dev/null || :'

truncate -s 24M raw
uuid=6a3d1c52-9c0e-4d0a-8a55-0f1e6a1b2c3d
mkfs.ext4 -q -L MYROOT -U $uuid -d /etc raw
mkcloopw -q raw image.cloopw
must "udev starts" start_udev
must "attach" cloopwsetup -c cow $dev image.cloopw
udevadm settle

# property NAME: of the device, as udev has it
property() {
	udevadm info --query=property --name=$dev | sed -n "s/^$1=//p"
}
is_link() { test "$(readlink -f "$1")" = $dev; }
check "a link by label" is_link /dev/disk/by-label/MYROOT
check "a link by UUID" is_link /dev/disk/by-uuid/$uuid
check "its type is known" test "$(property ID_FS_TYPE)" = ext4
check "it is ready" test -z "$(property SYSTEMD_READY)"

check "mount by label" mount LABEL=MYROOT mnt
check "of that device" test "$(findmnt -n -o SOURCE mnt)" = $dev
umount mnt
echo "UUID=$uuid $PWD/mnt ext4 defaults 0 0" >/etc/fstab
defer 'rm -f /etc/fstab'
check "mount by fstab" mount "$PWD/mnt"
check "of that device" test "$(findmnt -n -o SOURCE mnt)" = $dev
umount mnt

relabel() {
	tune2fs -L NEWNAME $dev >/dev/null
	wait_for 10 is_link /dev/disk/by-label/NEWNAME
	test ! -e /dev/disk/by-label/MYROOT
}
check "a new label is seen when who wrote it closes the device" relabel

cloopwsetup -d $dev
is_gone() { test ! -e /dev/disk/by-uuid/$uuid && test ! -e /dev/disk/by-label/NEWNAME; }
check "detached, its links go" wait_for 10 is_gone
is_hidden() { test "$(property SYSTEMD_READY)" = 0; }
check "and it is not ready" wait_for 10 is_hidden

# ---- without the driver's name ----

modprobe loop
loop=$(losetup -f --show raw)
defer 'losetup -d "$loop" 2>/dev/null || :'
udevadm settle
of_loop() { test "$(readlink -f /dev/disk/by-label/MYROOT)" = "$loop"; }
check "what --userspace makes has links, too" wait_for 10 of_loop
losetup -d "$loop"

# ---- a FAT stick, as the initramfs mounts it ----

truncate -s 64M stick
mkfs.vfat -n STICK stick >/dev/null
stick=$(losetup -f --show stick)
defer 'umount "$cw_dir/medium" 2>/dev/null; losetup -d "$stick" 2>/dev/null || :'
modprobe -a vfat nls_cp437 nls_iso8859-1 nls_ascii nls_utf8 || :
mount -t vfat "$stick" mnt
echo image >mnt/image
echo secret >mnt/changes
umount mnt

set +eu
# shellcheck source=/dev/null
. /usr/share/cloopw/initramfs.sh
cw_dir=$PWD/run
mkdir -m 755 "$cw_dir"
cw_parse "root=cloopw cloopw.image=$stick:/image cloopw.cow=$stick:/changes cloopw.wait=0"
# step NAME COMMAND...: in this shell, as the next one goes on from it
step() {
	local name=$1
	shift
	if "$@"; then
		ok "$name"
	else
		fail "$name" "$cw_reason"
	fi
}
step "the image's stick is mounted" cw_find_image
# nobody PATH: does a user see it?
nobody() { chroot --userspec=65534:65534 / cat "$1"; }
refuses "a user reads the COW" 'denied' nobody "$cw_dir/medium/changes"
step "it is made writable" cw_mount_cow "$stick"
refuses "a user reads the COW of a writable stick" 'denied' nobody "$cw_dir/medium/changes"
step "it can be written" cw_can_write "$cw_dir/medium"
step "protected" cw_took_effect "$cw_dir/medium" rw,nosuid,nodev,umask=077
umount "$cw_dir/medium"
mount -t vfat -o ro "$stick" "$cw_dir/medium"
if cw_remount_rw "$cw_dir/medium" "$stick"; then
	fail "a umask that comes with a remount" "is taken for one with effect"
else
	ok "a umask that comes with a remount has no effect, and that is seen"
fi
umount "$cw_dir/medium"
losetup -d "$stick"
set -eu
