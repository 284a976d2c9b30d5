# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions for test scripts, in the guest. A script runs under set -eu and
# pipefail: a command that fails, outside of the functions here, ends it as
# failed. It starts in an empty directory of its own on a tmpfs.

# ---- results ----

# ok NAME; fail NAME REASON...: a result. The script goes on.
ok() {
	echo "ok $*" >&9
}

fail() {
	local name=$1
	shift
	echo "not ok $name: ${*//$'\n'/ | }" >&9
}

# die REASON...: a failed result, and the end of the script
die() {
	fail "$TEST" "$@"
	exit 1
}

# diag TEXT...: a remark
diag() {
	local line
	while IFS= read -r line; do
		echo "# $line" >&9
	done <<<"$*"
}

# plan N: that many results are to come; others make the test fail
plan() {
	echo "1..$1" >&9
}

# bench_value NAME VALUE UNIT
bench_value() {
	echo "# bench $1 $2 $3" >&9
}

# check NAME CMD...: ok when the command or function succeeds; if not, its last
# output follows as remarks. Runs in a subshell, so that set -e counts in
# functions too; what it sets is lost; its output stays in the files $check_out and $check_err.
check() {
	local name=$1 status
	shift
	cloopw_run "$@"
	if [ "$status" = 0 ]; then
		ok "$name"
	else
		fail "$name" "status $status: $*"
		cloopw_output
	fi
}

# must NAME CMD...: check, and the end of the script where that fails
must() {
	local name=$1 status
	shift
	cloopw_run "$@"
	if [ "$status" = 0 ]; then
		ok "$name"
	else
		fail "$name" "status $status: $*"
		cloopw_output
		exit 1
	fi
}

# refuses NAME REGEX CMD...: ok when the command fails by itself (it was found,
# no signal killed it) and its stderr matches the extended regular expression
refuses() {
	local name=$1 regex=$2 status
	shift 2
	cloopw_run "$@"
	if [ "$status" = 0 ]; then
		fail "$name" "not refused: $*"
	elif [ "$status" -ge 126 ]; then
		fail "$name" "status $status, no refusal: $*"
	elif ! grep -qE -- "$regex" "$check_err"; then
		fail "$name" "refused, but not with '$regex': $*"
	else
		ok "$name"
		return
	fi
	cloopw_output
}

# same NAME A B: ok when the files or devices have the same bytes
same() {
	check "$1" cmp -- "$2" "$3"
}

# expect_console REGEX: kernel messages that match are no failure in this test,
# and one has to come; allow_console REGEX: they may come
expect_console() {
	echo "expect $1" >&9
}

allow_console() {
	echo "allow $1" >&9
}

# ---- surroundings ----

# disk N: path of the disk with serial number diskN (run --disk)
disk() {
	local dir
	for dir in /sys/block/vd*; do
		[ -e "$dir/serial" ] || continue
		if [ "$(cat "$dir/serial")" = "disk$1" ]; then
			echo "/dev/${dir##*/}"
			return
		fi
	done
	echo "no disk with serial disk$1 (run --disk FILE)" >&2
	return 1
}

# page_size: of the kernel, in bytes
page_size() {
	sed -n '/^KernelPageSize/{s/[^0-9]//g;s/$/ * 1024/p;q}' /proc/self/smaps |
		{ read -r size; echo $((size)); }
}

# scratch: path of a new empty directory on the tmpfs
scratch() {
	mktemp -d "$SCRATCH/scratch.XXXXXX"
}

# send FILE [NAME]: to the host, as NAME or under its own base name
send() {
	local file=$1 name=${2-${1##*/}} size
	size=$(stat -L -c %s -- "$file")
	(
		flock 6
		echo "$TEST $size $name" >&8
		# the size promised, also of a file that changes meanwhile
		head -c "$size" -- "$file" >&8
	) 6>/run/lock/send
}

# defer CMD...: at the exit of the script, last one first, whatever happened.
# One argument is a line for the shell, several are a command.
defer() {
	if [ $# = 1 ]; then
		cloopw_deferred+=("$1")
	else
		cloopw_deferred+=("$(printf '%q ' "$@")")
	fi
}

# is_builtin MODULE: has the kernel it inside, so that it is never loaded?
is_builtin() {
	grep -q "/$1\.ko" "/usr/lib/modules/$(uname -r)/modules.builtin"
}

# unload MODULE: unless the kernel has it inside
unload() {
	is_builtin "$1" || rmmod "$1"
}

# start_udev: udevd, with what is there already settled: /dev/disk/by-* links
# and uevents. udevadm settle waits for later events.
start_udev() {
	mkdir -p /run/udev
	/usr/lib/systemd/systemd-udevd --daemon
	udevadm trigger --type=subsystems --action=add
	udevadm trigger --type=devices --action=add --subsystem-match=block
	udevadm settle --timeout=30
}

# wait_for SECONDS CMD...: until the command succeeds; fails after that time of a
# stock kernel's, on a host that is five times as slow as usual
wait_for() {
	local end=$((SECONDS + $1 * 5 * CLOOPW_SLOW))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# ---- inside ----

cloopw_deferred=()
cloopw_line=
check_out=/tmp/.$TEST.out
check_err=/tmp/.$TEST.err

# cloopw_run CMD...: sets status of the caller; the output, in files, goes to
# the log too
cloopw_run() {
	local errexit=$-
	echo "+ $*"
	set +e
	(
		trap - EXIT ERR
		set -e
		"$@"
	) >"$check_out" 2>"$check_err"
	status=$?
	case $errexit in
	*e*) set -e ;;
	esac
	cat "$check_out" "$check_err"
}

# cloopw_output: the last output of cloopw_run as remarks
cloopw_output() {
	diag "$(tail -q -n 15 "$check_out" "$check_err" | tail -c 2000)"
}

# cloopw_exit: what is left to do however the script ends
cloopw_exit() {
	local status=$? i
	trap - EXIT ERR
	set +e
	if [ "$status" != 0 ] && [ "$cloopw_line" ]; then
		diag "ended with status $status by: $cloopw_line"
	elif [ "$status" = 0 ] && [ ! "$cloopw_end" ]; then
		fail "$TEST" 'left by exit before its last line'
		status=1
	fi
	for ((i = ${#cloopw_deferred[@]} - 1; i >= 0; i--)); do
		echo "+ ${cloopw_deferred[i]}"
		eval "${cloopw_deferred[i]}" ||
			diag "cleanup failed: ${cloopw_deferred[i]}"
	done
	exit "$status"
}
