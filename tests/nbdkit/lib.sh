# shellcheck shell=bash
# shellcheck disable=SC2034  # who sources it uses failed
# SPDX-License-Identifier: GPL-2.0
#
# For the tests of cloopwsetup --userspace: a directory of their own, devices that
# are detached at the end, what is checked. Sourced, with bin set.

set -eu -o pipefail
# shellcheck disable=SC2154  # who sources it sets it
PATH=$bin:/usr/sbin:/usr/bin:/sbin:/bin
dir=$(mktemp -d)
devices=()
mounted=''
failed=0

# shellcheck disable=SC2317  # the trap calls it
finish() {
	[ -z "$mounted" ] || umount "$mounted" || :
	for device in "${devices[@]}"; do
		cloopwsetup -d "$device" 2>/dev/null || :
	done
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
mkdir mnt

# check LABEL COMMAND...: the command succeeds
check() {
	local label=$1
	shift
	if "$@" >log 2>&1; then
		echo "ok $label"
	else
		echo "not ok $label"
		sed 's/^/# /' log
		failed=1
	fi
}

# refuses LABEL PATTERN COMMAND...: it fails, and says why
refuses() {
	local label=$1 pattern=$2
	shift 2
	if "$@" >said 2>&1; then
		echo "not ok $label: it succeeded"
		failed=1
	elif grep -qE -e "$pattern" said; then
		echo "ok $label"
	else
		echo "not ok $label: in other words"
		sed 's/^/# /' said
		failed=1
	fi
}

# attach OPTIONS...: sets device
attach() {
	device=$(cloopwsetup --userspace --show "$@")
	devices+=("$device")
}

# column NAME: of the device
column() {
	cloopwsetup -n --raw -O "$1" "$device"
}

# state_dir: of the device; pid PART: of its server or client
state_dir() {
	grep -l "\"node\": \"$(realpath "$device")\"" /run/cloopw/*/state |
		xargs dirname
}

pid() {
	cat "$(state_dir)/$1.pid"
}

mount_it() {
	mount "$device" mnt
	mounted=$dir/mnt
}

umount_it() {
	umount mnt
	mounted=''
}
