# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# kernel: debug
#
# Requests to the disk below the COW fail at random while others write, sync and read.
# Then allocations of the driver do. What was synced is there, the device can be
# detached, and cloopwck finds no fault.

# shellcheck source=tests/vm/lib/failing.sh
. /cloopw/lib/failing.sh

# writes FROM: 10 pieces of 64 KiB, each synced; those that succeed are noted. Then an
# older one is read.
writes() {
	local i half
	for ((i = $1; i < $1 + 10; i++)); do
		if dd if=data of=$dev bs=64k count=1 skip=$i seek=$i conv=notrunc,fsync \
			status=none; then
			synced[i]=1
		fi
		half=$((i / 2))
		[ "${synced[half]-}" ] || continue
		dd if=$dev of=piece bs=64k count=1 skip=$half iflag=direct status=none ||
			continue
		is_piece $half piece || echo $half >>wrong
	done 2>>errors
}
is_piece() { cmp -n 65536 -i $(($1 * 65536)):0 data "$2"; }
# all_there: pieces side by side are compared at once
all_there() {
	local i from=''
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$dev of=all bs=64k count=41 status=none || return
	for ((i = 0; i <= 40; i++)); do
		if [ "${synced[i]-}" ]; then
			: "${from:=$i}"
		elif [ "$from" ]; then
			cmp -n $(((i - from) << 16)) -i $((from << 16)) data all || return
			from=''
		fi
	done
}
# under NAME COW COMMAND...: the command's faults while all is used, 4 times
under() {
	local name=$1 cow=$2 states='' i
	shift 2
	rm -f wrong
	synced=()
	: >errors
	cloopwsetup --force -c "$cow" $dev image
	arm
	for ((i = 0; i < 40; i += 10)); do
		"$@"
		writes $i
		states+=" $(cat $sys/state)"
		calm
		must "$name: it can be detached" ends
		must "$name: attached again" cloopwsetup -c "$cow" $dev image
		check "$name: what was synced is there" all_there
	done
	diag "$name: ${#synced[@]} of 40 syncs, $(wc -l <errors) lines of errors," \
		"$(injected failslab fail_page_alloc fail_make_request) faults," \
		"states$states"
	check "$name: some failed" \
		test "$(injected failslab fail_page_alloc fail_make_request)" != 0
	check "$name: no read was wrong" test ! -e wrong
	check "$name: it can be written" put
	must "$name: detached" cloopwsetup -d $dev
	check "$name: cloopwck" cloopwck -q "$cow" image
}
memory() {
	set_all interval 1
	set_all probability "$1"
}
requests() {
	echo 1 >$debugfs/fail_make_request/interval
	echo 0 >$debugfs/fail_make_request/verbose
	echo 1 >"/sys/block/${1#/dev/}/make-it-fail"
	echo "$2" >$debugfs/fail_make_request/probability
}

# a small part of the disk, because cloopwck reads all of it
disk=$(disk 1)
dmsetup --noudevsync create medium --table "0 $((96 * 2048)) linear $disk 0"
defer 'dmsetup --noudevsync remove medium'
medium=/dev/$(dmsetup info -c --noheadings -o blkdevname medium)
new_medium() { dd if=/dev/zero of="$medium" bs=$mib count=8 status=none conv=fsync; }

for percent in 1 4; do
	new_medium
	under "requests fail, $percent %" "$medium" requests "$disk" $percent
done
echo 0 >"/sys/block/${disk#/dev/}/make-it-fail"
under "memory fails, COW on tmpfs, 10 %" cow memory 10
new_medium
under "memory fails, 2 %" "$medium" memory 2
