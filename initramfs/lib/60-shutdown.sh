# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: its end.

# cw_make_shutdown: what detaches the root file system after it has been
# unmounted. Copied here and now, because at shutdown nothing can be relied on:
# programs are being killed, and the COW may be full. The name comes last: with
# it, systemd comes here.
cw_make_shutdown() {
	cp -a /usr/lib/cloopw-shutdown/. "$cw_run/" &&
		mv "$cw_run/shutdown.new" "$cw_run/shutdown"
}

# cw_mounts PATTERN: the mount points that match, the last mounted first
cw_mounts() {
	cw_list=
	while read -r cw_word cw_where _; do
		# shellcheck disable=SC2254  # a pattern
		case $cw_where in
		$1) cw_list="$cw_where $cw_list" ;;
		esac
	done </proc/self/mounts
	# shellcheck disable=SC2086  # words
	[ ! "$cw_list" ] || printf '%s\n' $cw_list
}

# cw_move_away NAME PATTERN: what is mounted there last, to /media-of-cloopw/NAME
cw_move_away() {
	cw_moved=
	for cw_where in $(cw_mounts "$2"); do
		mkdir -p "/media-of-cloopw/$1"
		if [ ! "$cw_moved" ]; then
			mount --move "$cw_where" "/media-of-cloopw/$1"
			cw_moved=y
		else
			umount "$cw_where"
		fi
	done
}

# cw_free_media OLDROOT: the media lie below the root that lies on them; move them
# away. So does its /dev, which is in use by an image or a COW on a whole partition.
cw_free_media() {
	mount --make-rprivate /
	for cw_name in medium persistent ram; do
		cw_move_away "$cw_name" "*$cw_dir/$cw_name"
	done
	cw_move_away dev "$1/dev"
}

# cw_processes: which there are but this one, for a message
cw_processes() {
	for cw_word in /proc/[0-9]*; do
		# threads of the kernel have none
		readlink "$cw_word/exe" >/dev/null 2>&1 || continue
		[ "$cw_word" = /proc/1 ] ||
			printf '%s ' "$(cat "$cw_word/comm" 2>/dev/null)"
	done
}

# cw_unmount_root DIR: with all below. Processes that were killed may take a
# while to end on a busy machine, with what they have still to write.
cw_unmount_root() {
	cw_left=150
	while :; do
		for cw_where in $(cw_mounts "$1/*") $(cw_mounts "$1"); do
			umount "$cw_where" 2>/dev/null || :
		done
		[ "$(cw_mounts "$1")" ] || return 0
		[ "$cw_left" -gt 0 ] || return 1
		sleep 0.2
		cw_left=$((cw_left - 1))
	done
}

# cw_detach_all OLDROOT: from another root. What is in the COW is on its medium
# after that, and no medium is in use.
cw_detach_all() {
	cw_free_media "$1"
	if ! cw_unmount_root "$1"; then
		# what was written is kept all the same
		mount -o remount,ro "$1" 2>/dev/null || :
		sync
		cw_loud "the root file system is still in use; it was flushed." \
			"There are: $(cw_processes) Mounted:" \
			"$(cw_mounts "$1*" | tr '\n' ' ')"
	fi
	if cw_reason=$(cloopwsetup -d "$cw_device" 2>&1); then
		cw_say "$cw_device is detached, all changes are flushed"
	else
		sync
		cw_loud "$cw_reason"
		return 1
	fi
	for cw_where in $(cw_mounts '/media-of-cloopw/*'); do
		umount "$cw_where" || cw_loud "$cw_where is still in use"
	done
	cw_say "the medium can be removed"
}
