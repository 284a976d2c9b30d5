# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced by tests of the debug kernel that let allocations of the driver fail, or
# requests to a disk: the driver, a base and an image of 32 MiB, data of 8 MiB. Sets
# $dev, $sys and $mib.

must "the module loads" modprobe cloopw
defer 'calm; cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
debugfs=/sys/kernel/debug
mib=$((1 << 20))
# more than will fail
many=1000000

truncate -s 32M base
mkcloopw -q base image
head -c 8M /dev/urandom >data

# set_all FILE VALUE: of what can fail in memory
set_all() {
	local what
	for what in failslab fail_page_alloc; do
		echo "$2" >$debugfs/$what/"$1"
	done
}
# only_ours: allocations that have the driver's code on their stack
only_ours() {
	local last
	last=$(awk '$4 == "[cloopw]" && $2 ~ /[tT]/ { print $1 }' /proc/kallsyms |
		sort | tail -n 1)
	set_all require-start "$(cat /sys/module/cloopw/sections/.text)"
	set_all require-end "$(printf 0x%x $((0x$last + 4096)))"
	set_all stacktrace-depth 32
	set_all ignore-gfp-wait N
	set_all verbose 0
	echo N >$debugfs/fail_page_alloc/ignore-gfp-highmem
	echo 0 >$debugfs/fail_page_alloc/min-order
}
calm() {
	set_all probability 0
	echo 0 >$debugfs/fail_make_request/probability
}
arm() {
	set_all times $many
	echo $many >$debugfs/fail_make_request/times
}
# injected WHAT...: how many have failed since arm
injected() {
	local what sum=0
	for what; do
		sum=$((sum + many - $(cat "$debugfs/$what/times")))
	done
	echo $sum
}

is_attached() { grep -qsvx idle $sys/state; }
is_ok() { test "$(cat $sys/state)" = ok; }
put() { dd if=data of=$dev bs=64k count=16 conv=notrunc,fsync status=none; }
holds() { dd if=$dev bs=$mib count=1 iflag=direct status=none | cmp -n $mib data; }
# ends: the device is detached, whatever has failed. An error of what was written is told,
# and then it is gone all the same.
ends() {
	calm
	! is_attached || cloopwsetup -d $dev || ! is_attached || cloopwsetup -d $dev || return
	! is_attached
}

only_ours
calm
