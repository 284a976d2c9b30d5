# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# In a system that systemd runs: what cloopwtab attaches is there before fstab mounts
# it. Servers of --userspace outlive the session that started them, signals, a stop, a
# small limit and a lack of memory. Their devices stay mounted, for second.sh to look at.

modprobe -a nbd loop fuse
ways='nbd fuse'
! modprobe -q ublk_drv || ways+=' ublk'
echo "$ways" >/data/ways
check "cloopwtab: attached by the file system that has the image" \
	test "$(findmnt -n -o SOURCE /data)" != ''
check "cloopwtab: mounted by fstab" test "$(findmnt -n -o SOURCE /system)" = /dev/cloopw0
check "cloopwtab: its unit is active" systemctl is-active cloopw@cloopw0.service
check "no unit has failed" test -z "$(systemctl --failed --plain --no-legend)"
head -c 3M /dev/urandom >/system/tab

# in_session LINE: as if root had logged in for it, and out again
in_session() { runuser -l root -c "cd $PWD && $1"; }
no_sessions() { test -z "$(loginctl --no-legend list-sessions)"; }
put() { dd if=/dev/urandom of="$1" bs=64k count="$2" conv=fsync status=none; }
# signal NAME [PROGRAM...]: to all of the servers and clients, or to those
signal() {
	local name=$1
	shift
	[ $# -gt 0 ] || set -- nbdkit nbdfuse cloopw-ublkd
	# shellcheck disable=SC2046  # a list of pids
	kill "-$name" $(pidof "$@")
}
state_of() { cloopwsetup -n -O NAME,STATE | awk -v name="$1" '$1 == name { $1 = ""; print }'; }
says() { state_of "$1" | grep -q "$2"; }

in_session 'cat /proc/self/cgroup' >cgroup
check "there are sessions" grep -q 'session-.*scope' cgroup
check "whose processes are killed behind them" \
	bash -c 'busctl get-property org.freedesktop.login1 /org/freedesktop/login1 \
		org.freedesktop.login1.Manager KillUserProcesses | grep true'
for way in $ways; do
	server=nbdkit
	[ "$way" != ublk ] || server=cloopw-ublkd
	must "$way: attached in a session" in_session \
		"cloopwsetup --userspace=$way --show -c /data/$way.cow /data/image >$way.device"
	device=$(cat "$way.device")
	mkdir -p "/mnt/$way"
	must "$way: mounted" mount "$device" "/mnt/$way"
	must "$way: the session is over" wait_for 20 no_sessions
	check "$way: and writing goes on" put "/mnt/$way/session" 16
	check "$way: the state is ok" says "$device" ok
	signal TERM
	signal HUP
	check "$way: TERM and HUP end nothing" put "/mnt/$way/term" 16
	signal STOP $server
	check "$way: stopped, it does not answer" says "$device" 'not answering'
	put "/mnt/$way/stop" 16 &
	sleep 2
	check "$way: who writes waits" kill -0 $!
	signal CONT $server
	status=0
	wait $! || status=$?
	check "$way: continued, it goes on" test $status = 0
done

# ---- a limit of whoever attaches ----

small() {
	ulimit -f 4096
	cloopwsetup --userspace=nbd --show -c /data/small.cow /data/plain >small.device
}
must "limit: attached" small
device=$(cat small.device)
refuses "limit: what is too much is an error" 'No space|error' \
	dd if=/dev/urandom of="$device" bs=64k count=256 conv=fsync
check "limit: the state tells it" says "$device" full
check "limit: reading goes on" dd if="$device" of=/dev/null bs=64k count=16 iflag=direct
must "limit: detached" cloopwsetup -d "$device"
check "limit: cloopwck finds no fault" cloopwck -q -I raw /data/small.cow /data/plain

# ---- a service that attaches and ends: systemd kills all that is left of it ----

for way in $ways; do
	must "$way: attached by a service" systemd-run --quiet --wait -p Type=oneshot sh -c \
		"$(command -v cloopwsetup) --userspace=$way --show -c /data/$way-service.cow \
			/data/plain >$PWD/service.device"
	device=$(cat service.device)
	check "$way: the service has ended, and the device is well" says "$device" ok
	check "$way: and answers" dd if="$device" of=/dev/null bs=64k count=16 iflag=direct
	must "$way: detached" cloopwsetup -d "$device"
done

# ---- no memory ----

# the kernel is asked, since it looks for memory for minutes before it kills by itself
allow_console 'oom|Call Trace|Out of memory|show_mem'
{
	head -c 300M /dev/zero
	sleep 1000
} | tail >/dev/null &
eater=$!
has_much() { test "$(awk '/VmRSS/ { print $2 }' /proc/$eater/status)" -gt 200000; }
must "memory: somebody takes much" wait_for 60 has_much
kill_one() {
	echo f >/proc/sysrq-trigger
	sleep 1
	! kill -0 $eater
}
must "memory: who has most is killed" wait_for 20 kill_one
for way in $ways; do
	check "$way: and writing goes on" put "/mnt/$way/memory" 16
	check "$way: the state is ok" says "$(cat "$way.device")" ok
	head -c 5M /dev/urandom >"/mnt/$way/unsynced"
	(cd "/mnt/$way" && find . -type f -exec sha256sum {} +) >"/data/$way.sums"
done
(cd /system && sha256sum tab) >/data/tab.sums
expect_console 'cloopw-vm: at the end is left: nothing'
