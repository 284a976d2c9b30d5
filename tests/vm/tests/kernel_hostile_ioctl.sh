# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Ioctls that mean harm or nonsense, from progs/cloopw-hostile.c: each gets the
# error it should, the reason in words where there is one, and changes nothing.

must "the module loads" modprobe cloopw
defer rmmod cloopw

truncate -s 1M raw
mkcloopw -q raw image
allow_console 'cloopw'

while read -r verdict name; do
	case $verdict in
	ok) ok "$name" ;;
	not) fail "${name#ok }" "see output.log" ;;
	esac
done < <(cloopw-hostile check /dev/cloopw0 image)
# A table that is larger than anything the kernel allocates
truncate -s 4P huge
refuses "a bitmap that fits in no memory" 'memory' \
	cloopwsetup --cow-format uml -c huge.cow /dev/cloopw0 huge
rm -f huge huge.cow
check "the device is idle" test "$(cat /sys/block/cloopw0/cloopw/state)" = idle
check "the module goes" rmmod cloopw
