# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# After a write that failed the page cache keeps what is not on the medium, and takes
# it for written. The next attach must not recover the log from that: it would lead
# to records that are nowhere. Another program has the medium open meanwhile, so that
# nothing is dropped by a close; the file is on ext4, whose own blocks can be written.

# shellcheck source=tests/vm/lib/flaky.sh
. /cloopw/lib/flaky.sh
make_medium 400 32
head -c 1M /dev/urandom >first
head -c 1M /dev/urandom >second
head -c 256K second >part

# begins_at COW: the MiB of the medium
begins_at() {
	[ "$1" != "$medium" ] || { echo 0; return; }
	filefrag -e -v -b4096 "$1" | awk -F '[:. ]+' '
		$2 ~ /^[0-9]+$/ && (min == "" || $5 < min) { min = $5 }
		END { print int(min / 256) }'
}
put() {
	dd if="$1" of=$dev bs=$mib conv=notrunc,fsync status=none
}
refused() { ! "$@"; }
# first_or_second: pages are one or the other; every third is looked at
first_or_second() {
	local i
	dd if=$dev of=now bs=$mib count=1 status=none
	for ((i = 0; i < 256; i += 3)); do
		cmp -s -n 4096 -i $((i * 4096)) first now ||
			cmp -n 4096 -i $((i * 4096)) second now
	done
}

# by_driver, by_plugin COW: attached, and a part written and synced
by_driver() {
	cloopwsetup -c "$1" $dev base.cloopw
	put part
	cloopwsetup -d $dev
}
by_plugin() {
	# shellcheck disable=SC2016  # nbdkit's shell knows it
	nbdkit -U - /usr/local/lib/nbdkit-cloopw-plugin.so image=base.cloopw \
		cow="$1" --run 'nbdcopy --flush part "$uri"'
}
# cached NAME COW WHO
cached() {
	local name=$1 cow=$2
	must "$name: attached" cloopwsetup --force -c "$cow" $dev base.cloopw
	must "$name: written" put first
	fails_from "$(begins_at "$cow")"
	check "$name: a sync gets the error" refused put second
	detach
	heals
	must "$name: attached again, at once, and synced" "$3" "$cow"
	echo 3 >/proc/sys/vm/drop_caches
	check "$name: cloopwck finds no fault on the medium" \
		cloopwck -q "$cow" base.cloopw
	must "$name: attached from the medium" cloopwsetup -c "$cow" $dev base.cloopw
	check "$name: each page is as it was, or as it was to be" first_or_second
	check "$name: and what was synced is there" \
		cmp -n $((mib / 4)) part $dev
	must "$name: detached again" cloopwsetup -d $dev
}

dd if=/dev/zero of="$medium" bs=$mib count=64 conv=fsync status=none
exec 5<"$medium"
cached device "$medium" by_driver
dd if=/dev/zero of="$medium" bs=$mib count=64 conv=fsync status=none
cached 'device, plugin' "$medium" by_plugin
exec 5<&-

# What is ext4's own, it has at the beginning of the medium.
mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -E packed_meta_blocks=1 "$medium"
mount "$medium" host
defer 'umount host'
dd if=/dev/zero of=host/filler bs=$mib count=4 conv=fsync status=none
cached file host/cow by_driver
cached 'file, plugin' host/cow2 by_plugin
check "file: ext4 is well" touch host/other
