# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: GPL-2.0
#
# dracut's module with dracut's functions replaced: run by tests/initramfs/run in an empty
# directory.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"
module=$1/initramfs/dracut/50cloopw

# ---- whether it is included ----

# included HOSTONLY: what check() returns
included() {
	hostonly=$1 ROOT_MOUNTS=$PWD/mounts bash -c '
		require_binaries() { [ ! "$missing" ]; }
		. "$1/module-setup.sh"
		check' bash "$module" && echo 0 || echo $?
}

missing=
export missing
echo '/dev/sda1 / ext4 rw 0 0' >mounts
is 'for any machine: only when it is asked for' "$(included '')" 255
is 'another root: the same' "$(included y)" 255
echo '/dev/cloopw0 / ext4 rw 0 0' >mounts
is 'for this machine, whose root is on it' "$(included y)" 0
is 'for any machine, made on such a one' "$(included '')" 255
missing=y
is 'programs that are not there' "$(included y)" 1

# ---- parameters ----

# mount.sh's, with the library of this test and a mount that tells what it was told
sed "s,^\. /lib/cloopw.sh,. $PWD/library," "$module/mount.sh" >mount.sh
{
	cat "$1"/initramfs/lib/*.sh
	# shellcheck disable=SC2016  # the function's own
	echo 'cw_mount_root() { echo "$1 $cw_image_path $cw_cow_path $cw_ro" >told; }'
} >library
NEWROOT=/sysroot
ismounted() { false; }
getcmdline() { cat lines; }
rm -f told
echo 'quiet root=/dev/sda1' >lines
. ./mount.sh
is 'another root is left alone' "$(cat told 2>/dev/null)" ''
# as getcmdline has it: /etc/cmdline.d first
echo ' rd.cloopw.image=LABEL=a:/b cloopw.ro  root=cloopw rd.cloopw.cow=LABEL=c:/d cloopw.ro=0' >lines
. ./mount.sh
is 'parameters of /etc/cmdline.d and of the kernel' "$(cat told)" '/sysroot /b /d '
getarg() { sed -n "s/.*$1\([^ ]*\).*/\1/p" lines; }
root='' rootok=''
. "$module/cmdline.sh"
is 'dracut is told that the root is known' "$rootok" 1

exit $status
