# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# cpus: 2, threads race
#
# Attaching, putting a layer on top and detaching in a loop while others open,
# read, look into sysfs, ask for devices, remove them and unload the module: nothing
# may oops, hang or leak.

must "the module loads" modprobe -a cloopw loop
defer rmmod cloopw

truncate -s 8M raw
mkfs.ext4 -q -F raw
sfdisk -q raw <<<$'label: dos\n2048,8192' || :
mkcloopw -q raw image

seconds=$((40 * CLOOPW_SLOW))
touch run
ends=()
defer rm -f run

attacher() {
	local device=$1 count=0
	while [ -e run ]; do
		if cloopwsetup -P -c "cow$device" "/dev/cloopw$device" image
		then
			dd if=/dev/zero of="/dev/cloopw$device" bs=4k seek=5 \
				count=3 conv=notrunc || :
			[ $((count % 2)) = 0 ] || cloopwsetup \
				--snapshot "top$device" "/dev/cloopw$device" || :
			# busy while others have it open; the last may be
			# somebody else's to detach
			until cloopwsetup -d "/dev/cloopw$device"; do
				grep -q ok "/sys/block/cloopw$device/cloopw/state" ||
					break
			done
			count=$((count + 1))
			# below another it cannot be attached for writing
			[ ! -e "top$device" ] || rm "cow$device" "top$device"
		fi
		echo "$count" >"count.$device"
	done >/dev/null 2>&1
	touch "end.$device"
}

opener() {
	while [ -e run ]; do
		head -c 65536 "/dev/cloopw$1" || :
		cat "/sys/block/cloopw$1/queue/"{read_ahead_kb,chunk_sectors} || :
		blkid -p "/dev/cloopw$1"* || :
	done >/dev/null 2>&1
}

reader() {
	while [ -e run ]; do
		grep -r . "/sys/block/cloopw$1/cloopw" || :
		echo 65536 >"/sys/block/cloopw$1/cloopw/cache_limit" || :
		cloopwsetup --output-all || :
	done >/dev/null 2>&1
}

shrinker() {
	while [ -e run ]; do
		echo 3 >/proc/sys/vm/drop_caches
		sleep 0.2
	done
}

# Goes only while nothing is attached or open.
unloader() {
	while [ -e run ]; do
		! rmmod cloopw || echo >>unloaded
		modprobe cloopw || :
		sleep 0.1
	done >/dev/null 2>&1
}

attacher 0 &
attacher 1 &
opener 0 & ends+=($!)
reader 0 & ends+=($!)
reader 1 & ends+=($!)
shrinker & ends+=($!)
# disks come and go, ioctls come from everywhere
cloopw-hostile churn "$seconds" /dev/cloopw0 image & ends+=($!)
sleep "$seconds"
# the first has to compete with cloopw-hostile
often() { test "$(cat count.1)" -gt 3; }
check "the second was attached often" wait_for 100 often
rm run

attachers_end() {
	wait_for 60 test -e end.0
	wait_for 60 test -e end.1
}
check "who attaches comes to an end" attachers_end
for pid in "${ends[@]}"; do
	wait "$pid" || fail "the others" "process $pid ended with status $?"
done
diag "attached $(cat count.0) and $(cat count.1) times"
check "all can be detached" cloopwsetup -D

# ---- the module goes whenever it can ----

touch run
: >unloaded
attacher 2 &
unloader & unloading=$!
both_often() { test "$(cat count.2)" -gt 5 && test "$(wc -l <unloaded)" -gt 5; }
check "it is unloaded and attached often" wait_for 200 both_often
rm run
check "who attaches comes to an end" wait_for 60 test -e end.2
wait "$unloading"
diag "attached $(cat count.2) times, unloaded $(wc -l <unloaded) times"
check "all can be detached" cloopwsetup -D
check "the module goes" rmmod cloopw
