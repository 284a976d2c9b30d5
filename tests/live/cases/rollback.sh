# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# Each boot a new layer; back to the state of two boots ago, and from there on.

boot() {
	boot_rw cloopw.cow=LABEL=CLOOPW-RW:/cow cloopw.snapshot "$@"
}

# has FILE..., of one two three
has() {
	check "there are: $*" guest \
		"[ \"\$(cd /root && ls one two three four 2>/dev/null | tr '\\n' ' ')\" = '$* ' ]"
}

make_rw 512M

for name in one two three; do
	boot
	check "$name is written" guest "echo $name >/root/$name"
	vm_off
done
boot cloopw.rollback=2
has one
check 'and written on' guest 'echo four >/root/four'
vm_off
boot
has four one
vm_off
# nothing was lost by it: three layers back lies what there was before
boot cloopw.rollback=2
has one three two
vm_off
