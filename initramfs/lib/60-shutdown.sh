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

# cw_unescape TEXT: sets cw_plain. The kernel writes blanks and others in its list
# of mounts as \ and three octal digits, so a mount point there is one word.
cw_unescape() {
	cw_rest=$1 cw_plain=
	while :; do
		case $cw_rest in
		*\\[0-3][0-7][0-7]*) ;;
		*) break ;;
		esac
		cw_plain=$cw_plain${cw_rest%%\\*}
		cw_rest=${cw_rest#*\\}
		cw_tail=${cw_rest#???}
		# the dot: a line's end would be lost
		cw_char=$(printf '%b' "\\0${cw_rest%"$cw_tail"}.")
		cw_plain=$cw_plain${cw_char%.} cw_rest=$cw_tail
	done
	cw_plain=$cw_plain$cw_rest
}

# cw_mounts PATTERN: the mount points of those whose "SOURCE PLACE" matches, the last
# mounted first, one a line and as the kernel writes them
cw_mounts() {
	cw_list=
	while read -r cw_word cw_where _; do
		# shellcheck disable=SC2254  # a pattern
		case "$cw_word $cw_where" in
		$1) cw_list="$cw_where $cw_list" ;;
		esac
	done <"$cw_mounts_file"
	set -f # a mount point is no pattern
	# shellcheck disable=SC2086  # words
	[ ! "$cw_list" ] || printf '%s\n' $cw_list
	set +f
}

# cw_each_mount PATTERN COMMAND...: with each mount point that matches; false when
# the command was false for one
cw_each_mount() {
	cw_pattern=$1 cw_all=0
	shift
	set -f
	for cw_where in $(cw_mounts "$cw_pattern"); do
		cw_unescape "$cw_where"
		"$@" "$cw_plain" || cw_all=1
	done
	set +f
	return $cw_all
}

# cw_move_away NAME PATTERN: what is mounted there last, to /media-of-cloopw/NAME
cw_move_away() {
	cw_moved=
	cw_each_mount "$2" cw_move_one "/media-of-cloopw/$1"
}

# cw_move_one TO DIR: the first of them; there is one file system below the others
cw_move_one() {
	if [ "$cw_moved" ]; then
		umount "$2"
		return
	fi
	mkdir -p "$1"
	mount --move "$2" "$1"
	cw_moved=y
}

cw_umount_quietly() {
	umount "$1" 2>/dev/null
}

cw_umount_medium() {
	umount "$1" && return
	cw_loud "$1 is still in use"
	return 1
}

# cw_umount_media: those that were moved, and what else is mounted of a device. systemd
# from 254 on does not leave a medium below the old root: it takes it along as /cloopw.
cw_umount_media() {
	cw_each_mount '* /media-of-cloopw/*' cw_umount_medium &&
		cw_each_mount '/dev/* *' cw_umount_medium
}

# cw_free_media OLDROOT: the media lie below the root that lies on them; move them
# away. So does its /dev, which is in use by an image or a COW on a whole partition.
cw_free_media() {
	mount --make-rprivate /
	for cw_name in medium persistent cache ram; do
		cw_move_away "$cw_name" "* *$cw_dir/$cw_name"
	done
	cw_move_away dev "* $1/dev"
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
		cw_each_mount "* $1/*" cw_umount_quietly || :
		cw_each_mount "* $1" cw_umount_quietly || :
		[ "$(cw_mounts "* $1")" ] || return 0
		[ "$cw_left" -gt 0 ] || return 1
		sleep 0.2
		cw_left=$((cw_left - 1))
	done
}

# cw_detach_all OLDROOT: from another root. After that the COW's data is on its medium,
# and no medium is in use.
cw_detach_all() {
	cw_free_media "$1"
	if ! cw_unmount_root "$1"; then
		# the written data is kept all the same
		mount -o remount,ro "$1" 2>/dev/null || :
		sync
		cw_loud "the root file system is still in use; it was flushed." \
			"There are: $(cw_processes) Mounted:" \
			"$(cw_mounts "* $1*" | tr '\n' ' ')"
	fi
	if cw_reason=$(cloopwsetup -d "$cw_device" 2>&1); then
		cw_say "$cw_device is detached, all changes are flushed"
	else
		sync
		cw_loud "$cw_reason"
		return 1
	fi
	cw_umount_media || return
	cw_say "the medium can be removed"
}
