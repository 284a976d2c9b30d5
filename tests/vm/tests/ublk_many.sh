# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
# cpus: 2, many servers start at once
#
# Devices by ublk at once: each has a server of its own, and three of these are killed.
# cloopw_devices=N on the kernel's command line says how many (16); --mem 2048 is enough for
# 64.

devices=$(sed -n 's/.*cloopw_devices=\([0-9]*\).*/\1/p' /proc/cmdline)
: "${devices:=16}"
modprobe ublk_drv
defer 'cloopwsetup -D; rmmod ublk_drv || :'
truncate -s 8M raw
mkcloopw -q raw base.cloopw
head -c 1M /dev/urandom >data
mkdir cows
mount -t tmpfs tmpfs cows
defer 'umount cows'

# server_of N: the process that serves /dev/cloopwN
server_of() {
	local server
	read -r _ server _ <"/run/cloopw/$1/server.pid"
	echo "$server"
}
# free_kib: memory that programs can have
free_kib() {
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}
attach_all() {
	local i
	for ((i = 0; i < devices; i++)); do
		cloopwsetup --userspace=ublk --cache 1M -c cows/$i /dev/cloopw$i base.cloopw
	done
}
write_all() {
	local i writers=()
	for ((i = 0; i < devices; i++)); do
		dd if=data of=/dev/cloopw$i bs=4k count=8 skip=$i oflag=direct \
			conv=notrunc,fsync status=none &
		writers+=($!)
	done
	for i in "${writers[@]}"; do
		wait "$i"
	done
}
# read_all: each device has what was written to it, and not what was written to another
read_all() {
	local i
	for ((i = 0; i < devices; i++)); do
		cmp -n 32768 -i $((i * 4096)):0 data /dev/cloopw$i
	done
}
is_served_again() {
	[ "$(server_of "$1")" != "$2" ] && kill -0 "$(server_of "$1")"
}
# detach_all: and the driver has none left
detach_all() {
	cloopwsetup -D
	! ls /dev/ublkb* 2>/dev/null
}

must "memory for $devices servers, which cannot be swapped out (run --mem)" \
	test "$(free_kib)" -gt $((devices * 16 * 1024))
before=$(free_kib)
begin=${EPOCHREALTIME/./}
must "$devices devices" attach_all
end=${EPOCHREALTIME/./}
diag "$(((end - begin) / devices / 1000)) ms for the attach of each device"
diag "$(((before - $(free_kib)) / devices)) KiB of memory for each"
check "they are listed" test "$(cloopwsetup -ln -O NAME | wc -l)" = "$devices"
check "each is written" write_all
check "each has its own data" read_all
for i in 0 $((devices / 2)) $((devices - 1)); do
	old=$(server_of $i)
	kill -KILL "$old"
	check "another server of device $i" wait_for 10 is_served_again $i "$old"
done
check "a killed server does not take others along" read_all
begin=${EPOCHREALTIME/./}
check "all servers are replaced at once" cloopwsetup --takeover all
end=${EPOCHREALTIME/./}
diag "$(((end - begin) / devices / 1000)) ms for the takeover of each"
check "all data is there" read_all
check "all are detached" detach_all
for i in 0 $((devices / 2)) $((devices - 1)); do
	check "the COW of device $i is sound" cloopwck -c cows/$i base.cloopw
done
