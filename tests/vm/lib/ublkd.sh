# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For tests of cloopw-ublkd's processes: a supervisor, its server, and a watch of both.
# One device at a time is served.

# processes NAME: of cloopw-ublkd, or cloopw-watch; each process's parent stands before it
processes() {
	ps -eo ppid=,pid=,comm= | awk -v name="$1" '$3 == name { print $1, $2 }'
}

# family: the supervisor, which is a parent of the other, and the server
family() {
	processes cloopw-ublkd | awk '{ pid[$2]; parent[$1] = $2 }
		END { for (p in pid) if (p in parent) print p, parent[p] }'
}

# other_serves OLD: another server than OLD
other_serves() {
	local new
	read -r _ new < <(family)
	[ "$new" ] && [ "$new" != "$1" ]
}

# goes_on OLD: another server than OLD, and it answers
goes_on() {
	wait_for 20 other_serves "$1" &&
		dd if=/dev/cloopw0 of=/dev/null bs=4k count=1 iflag=direct status=none
}

kill_worker() {
	local server worker
	read -r server worker < <(family)
	kill -9 "$worker"
	goes_on "$worker"
}

kill_both() {
	local server worker
	read -r server worker < <(family)
	kill -9 "$server" "$worker"
	goes_on "$worker"
}
