# shellcheck shell=sh disable=SC2016  # programs
# SPDX-License-Identifier: GPL-2.0
#
# need-module: no initramfs without the module where the root is on cloopw. Run by
# tests/initramfs/run in an empty directory.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"
top=$1
mkdir bin
cat >bin/modinfo <<'END_'
#!/bin/sh
case $* in
'-k 6.1-has cloopw' | '-k 7.3-ublk ublk_drv') ;;
*) exit 1 ;;
esac
END_
chmod 755 bin/modinfo
PATH=$PWD/bin:$PATH
export PATH ROOT_MOUNTS="$PWD/mounts" COMMAND_LINE="$PWD/cmdline"

# need KERNEL WANT TEXT: its status and what it says
need() {
	status_=0
	"$top/initramfs/need-module" "$1" >out 2>&1 || status_=$?
	is "the status for $1" "$status_" "$2"
	[ ! "$3" ] || grep -q -- "$3" out || no "what is said for $1" "$(cat out)"
}

echo '/dev/vda1 / ext4 rw 0 0' >mounts
echo 'quiet root=/dev/vda1' >cmdline
need 6.1-has 0 ''
need 7.3-lacks 0 '^W: cloopw: kernel 7.3-lacks has no module cloopw'

echo '/dev/cloopw0 / ext4 rw 0 0' >mounts
need 6.1-has 0 ''
need 7.3-lacks 1 '^E: .*7.3-lacks has no module cloopw, and the root'
grep -q 'linux-headers-7.3-lacks' out || no 'the way out' "$(cat out)"

need 7.3-ublk 0 '^W: cloopw: kernel 7.3-ublk has no module cloopw: .*ublk'
echo '/dev/ublkb0 / ext4 rw 0 0' >mounts
need 7.3-lacks 1 '^E: '
need 7.3-ublk 0 '^W: '

# the root is something over it, and was asked for by the command line
echo 'overlay / overlay rw 0 0' >mounts
echo 'root=cloopw quiet' >cmdline
need 7.3-lacks 1 '^E: '
echo 'root=cloopw cloopw.driver=module quiet' >cmdline
need 7.3-ublk 1 '^E: '
exit "$status"
