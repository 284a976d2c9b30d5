# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: finding devices, mounting file systems.

# cw_resolve DEVICE: prints its node; false while it is not there
cw_resolve() {
	case $1 in
	/dev/*) cw_node=$1 ;;
	*)
		# udev's names first: looking at all devices takes its time
		cw_node=/dev/disk/by-$(echo "${1%%=*}" | tr '[:upper:]' '[:lower:]')
		cw_node=$cw_node/${1#*=}
		[ -b "$cw_node" ] ||
			cw_node=$(blkid -c /dev/null -l -t "$1" -o device) ;;
	esac
	[ "$cw_node" ] && [ -b "$cw_node" ] && readlink -f "$cw_node"
}

# cw_wait_for DEVICE WHAT: prints its node when it is there; false, and says so,
# when it does not come
cw_wait_for() {
	cw_left=$cw_wait
	while ! cw_resolve "$1"; do
		if [ "$cw_left" = "$cw_wait" ]; then
			cw_say "waiting for the $2, $1 (cloopw.wait=$cw_wait" \
				"seconds)" >&2
		fi
		if [ "$cw_left" -le 0 ]; then
			return 1
		fi
		sleep 1
		cw_left=$((cw_left - 1))
	done
}

cw_fstype_of() {
	blkid -c /dev/null -p -o value -s TYPE "$1"
}

cw_mount_options() {
	case $1:$2 in
	vfat:rw | exfat:rw) echo rw,noatime,umask=077 ;;
	*:rw) echo rw,noatime ;;
	*) echo ro ;;
	esac
}

# cw_is_mounted DIR: not every initramfs has mountpoint
cw_is_mounted() {
	while read -r _ cw_where _; do
		[ "$cw_where" != "$1" ] || return 0
	done </proc/self/mounts
	return 1
}

# cw_mount NODE DIR ro|rw: false with the reason in cw_reason
cw_mount() {
	cw_type=$(cw_fstype_of "$1")
	if [ ! "$cw_type" ]; then
		cw_reason="$1 holds no file system"
		return 1
	fi
	mkdir -p "$2"
	modprobe -qb "$cw_type" || :
	if ! mount -t "$cw_type" -o "$(cw_mount_options "$cw_type" "$3")" \
		"$1" "$2" 2>"$cw_dir/mount.log"; then
		cw_reason="$1 ($cw_type) cannot be mounted"
		[ "$3" = ro ] || cw_reason="$cw_reason for writing"
		cw_reason="$cw_reason: $(tail -n 1 "$cw_dir/mount.log")"
		return 1
	fi
}

# cw_can_write DIR: a mount may say rw and be none
cw_can_write() {
	: >"$1/.cloopw-test" && rm "$1/.cloopw-test"
} 2>/dev/null
