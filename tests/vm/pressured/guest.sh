# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest of tests/vm/pressure: several write to a file system on a COW on a disk,
# more than there is memory for. The kernel keeps as much of it unwritten as it can.
# Nothing hangs, and all that was written is read again.

runs=$(sed -n 's/.*cloopw_runs=\([0-9]*\).*/\1/p' /proc/cmdline)
must "the module loads" modprobe cloopw
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
mkfs.ext4 -q -F "$(disk 0)"
mkdir -p host mnt
mount "$(disk 0)" host
defer umount host
truncate -s 200M host/raw
mkfs.ext4 -q -F host/raw
must "an image" mkcloopw -q host/raw host/image
rm host/raw
echo 70 >/proc/sys/vm/dirty_background_ratio
echo 90 >/proc/sys/vm/dirty_ratio
diag "$(awk '/MemTotal|MemAvailable/ { printf "%s %d MiB ", $1, $2 / 1024 }' /proc/meminfo)"

# dirty: half of it can be compressed
dirty() {
	local i
	for i in 1 2 3 4; do
		{
			head -c 16M /dev/urandom
			head -c 12M /dev/zero | tr '\0' "$i"
		} | tee "mnt/$i" | sha256sum | sed "s,-,mnt/$i," >"sum.$i" &
	done
	wait
	awk '/^Dirty/ { print $2 }' /proc/meminfo >>dirty
	sync mnt
	cat sum.?
}
run() {
	cloopwsetup --cow-format "$1" -c host/cow $dev host/image
	mount $dev mnt
	dirty >sums
	test "$(wc -l <sums)" = 4
	dirty >sums
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum --quiet -c sums
	umount mnt
	cloopwsetup -d $dev
	cloopwck -q host/cow host/image
	rm host/cow
}
for ((i = 1; i <= runs; i++)); do
	check "run $i" run "$([ $((i % 4)) = 0 ] && echo uml || echo log)"
done
diag "at most $(sort -n dirty | tail -n 1) KiB were dirty at the end of a run"
