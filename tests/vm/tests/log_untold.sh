# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What was written to a device, closed without a sync and cannot be stored, as its
# COW is full: the last close has nobody to tell, so a detach and a flush do. Who was
# told once is not told again.

must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
mib=$((1 << 20))

truncate -s 40M raw
printf '%s\n' 'label: dos' '2048,77824' | sfdisk -q raw
mkcloopw -q raw base.cloopw
head -c 32M /dev/urandom >data
lost="not detached: not all that was written .*: No space left.*once more detaches"

# put DEVICE OPTIONS...: to the page cache, from 4 MiB on
put() {
	local to=$1
	shift
	dd if=data of="$to" bs=$mib seek=4 conv=notrunc status=none "$@"
}
attach() {
	rm -f cow
	must "$1: attached" cloopwsetup -P -c cow --cow-limit 16M $dev base.cloopw
	check "$1: written, and no word of an error" put "${2-$dev}"
}

attach "a device"
refuses "a device: the detach says so" "$lost" cloopwsetup -d $dev
check "a device: it is attached" test "$(cat $sys/state)" = full
must "a device: a higher limit" cloopwsetup --cow-limit 64M $dev
check "a device: written again" put $dev conv=notrunc,fsync
must "a device: detached" cloopwsetup -d $dev
must "a device: attached again" cloopwsetup -c cow $dev base.cloopw
check "a device: all is there" cmp -n $((32 * mib)) <(tail -c +$((4 * mib + 1)) $dev) data
must "a device: detached again" cloopwsetup -d $dev

attach "given up"
refuses "given up: the detach says so" "$lost" cloopwsetup -d $dev
check "given up: once more" cloopwsetup -d $dev
check "given up: it is detached" test "$(cat $sys/state)" = idle

attach "a partition" ${dev}p1
refuses "a partition: the detach says so" "$lost" cloopwsetup -d $dev
check "a partition: once more" cloopwsetup -d $dev

attach "a flush"
refuses "a flush says so" 'not all that was written .*No space' cloopwsetup --flush $dev
check "a flush: who detaches is not told again" cloopwsetup -d $dev

rm cow
must "a sync: attached" cloopwsetup -c cow --cow-limit 16M $dev base.cloopw
refuses "a sync says so" 'Input/output error|No space' put $dev conv=notrunc,fsync
check "a sync: who detaches is not told again" cloopwsetup -d $dev

# As a file system or another program has it: open while it is written and after
held_open() {
	exec 8<$dev
	put $dev
	exec 8<&-
	cloopwsetup -d $dev
}
must "held: attached" cloopwsetup -c cow $dev base.cloopw
refuses "held open meanwhile: the detach says so" "$lost" held_open
check "held open meanwhile: once more" cloopwsetup -d $dev
