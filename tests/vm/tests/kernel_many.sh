# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, devices are made at once
#
# Much of everything: 30 layers, 64 devices, a device of 16 TiB.

must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
mib=$((1 << 20))

truncate -s 8M raw
mkcloopw -q raw base.cloopw
head -c 1M /dev/urandom >data

# ---- layers ----

layers=30
# page N TO: the data's page N
page() {
	dd if=data of=$dev bs=4k skip="$1" seek="$2" count=1 oflag=direct \
		conv=notrunc status=none
}
stack() {
	local i
	cloopwsetup -c layer0 $dev base.cloopw
	for ((i = 0; i < layers; i++)); do
		page $i $i
		page $i 100 # in each
		[ $i = $((layers - 1)) ] ||
			cloopwsetup --snapshot layer$((i + 1)) $dev
	done
}
stacked() {
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n $((layers * 4096)) data $dev
	cmp -n 4096 -i $(((layers - 1) * 4096)):$((100 * 4096)) data $dev
}
check "$layers layers" stack
check "each is seen" stacked
must "detached" cloopwsetup -d $dev
must "attached by the one on top" cloopwsetup -c layer$((layers - 1)) $dev base.cloopw
check "each is seen again" stacked
must "detached again" cloopwsetup -d $dev

# ---- devices ----

devices=64
attach_all() {
	local i
	for ((i = 0; i < devices; i++)); do
		cloopwsetup -c cow$i /dev/cloopw$i base.cloopw
	done
}
write_all() {
	local i
	for ((i = 0; i < devices; i++)); do
		dd if=data of=/dev/cloopw$i bs=4k count=8 skip=$i oflag=direct \
			conv=notrunc,fsync status=none &
	done
	wait
	for ((i = 0; i < devices; i++)); do
		cmp -n 32768 -i $((i * 4096)):0 data /dev/cloopw$i
	done
}
check "$devices devices" attach_all
check "each has its own data" write_all
check "all are detached" cloopwsetup -D
check "none is left" test -z "$(cloopwsetup -n -O NAME)"

# ---- a large one ----

tib=$((1 << 40))
at_its_end() {
	cmp -n $mib -i 0:$((16 * tib - mib)) data $dev
	cmp -n $mib -i 0:$((8 * tib)) data $dev
	cmp -n $mib -i 0:$((5 * tib)) /dev/zero $dev
}
write_large() {
	local at
	for at in 0 $((8 * tib)) $((16 * tib - mib)); do
		dd if=data of=$dev bs=$mib seek=$((at / mib)) oflag=direct \
			conv=notrunc,fsync status=none
	done
}
truncate -s 16T large
must "16 TiB: attached" cloopwsetup -c large.cow $dev large
check "16 TiB: written" write_large
check "16 TiB: read" at_its_end
check "16 TiB: discarded" blkdiscard -o $((8 * tib)) -l $((4 * tib)) $dev
must "16 TiB: detached" cloopwsetup -d $dev
check "16 TiB: the COW is small" test "$(stat -c %s large.cow)" -lt $((16 * mib))
must "16 TiB: attached again" cloopwsetup -c large.cow $dev large
check "16 TiB: its end" cmp -n $mib -i 0:$((16 * tib - mib)) data $dev
check "16 TiB: what was discarded" cmp -n $mib -i 0:$((8 * tib)) /dev/zero $dev
must "16 TiB: detached again" cloopwsetup -d $dev
check "16 TiB: cloopwck finds no fault" cloopwck -q -I raw large.cow large
