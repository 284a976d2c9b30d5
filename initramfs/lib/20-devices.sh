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
		case ${1#*=} in
		*/*) cw_node='' ;; # udev writes it otherwise
		esac
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

# cw_has_owners TYPE: files of the others have no owners; all are root's by an option
cw_has_owners() {
	case $1 in
	vfat | msdos | exfat | ntfs | ntfs3 | hfs | hfsplus) return 1 ;;
	esac
}

# cw_no_replay TYPE: what keeps a read-only mount from writing: replaying a journal
# is writing
cw_no_replay() {
	case $1 in
	ext3 | ext4) echo noload ;;
	xfs | f2fs | nilfs2) echo norecovery ;;
	bcachefs) echo nochanges ;;
	btrfs) echo rescue=nologreplay ;;
	esac
}

# cw_mount_options TYPE ro|rw: of a medium. Files without owners are root's alone
# from the first mount on: FAT ignores that at a remount. A medium is not trusted:
# it brings no devices and no programs that give rights.
cw_mount_options() {
	cw_options=$2,nosuid,nodev
	[ "$2" = ro ] || cw_options=$cw_options,noatime
	cw_has_owners "$1" || cw_options=$cw_options,umask=077
	if [ "$cw_ro" ] && [ "$2" = ro ] && [ "$(cw_no_replay "$1")" ]; then
		cw_options=$cw_options,$(cw_no_replay "$1")
	fi
	echo "$cw_options"
}

# cw_find_mount DIR: what is mounted there last: cw_mounted_node and
# cw_mounted_options
cw_find_mount() {
	cw_mounted_node='' cw_mounted_options=''
	while read -r cw_source cw_where _ cw_options _; do
		[ "$cw_where" = "$1" ] || continue
		cw_mounted_node=$cw_source cw_mounted_options=$cw_options
	done <"$cw_mounts_file"
	[ "$cw_mounted_options" ]
}

# cw_is_mounted DIR: not every initramfs has mountpoint
cw_is_mounted() {
	cw_find_mount "$1"
}

# cw_took_effect DIR OPTIONS: of cw_mount_options, those that protect; a mount may
# succeed without them. The first that is missing is cw_missing.
cw_took_effect() {
	cw_find_mount "$1" || return
	for cw_missing in ro rw nosuid nodev; do
		case ,$2, in
		*,"$cw_missing",*) ;;
		*) continue ;;
		esac
		case ,$cw_mounted_options, in
		*,"$cw_missing",*) ;;
		*) return 1 ;;
		esac
	done
	cw_missing=umask=077
	case ,$2, in
	*,umask=077,*) [ "$(stat -c %a "$1")" = 700 ] || return 1 ;;
	esac
}

# cw_mount_with NODE DIR TYPE OPTIONS: no symbolic links are followed, where
# mount and kernel know how; cw_is_plain looks for them all the same
cw_mount_with() {
	mount -t "$3" -o "$4,nosymfollow" "$1" "$2" 2>/dev/null ||
		mount -t "$3" -o "$4" "$1" "$2" 2>"$cw_dir/mount.log"
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
	cw_wanted_options=$(cw_mount_options "$cw_type" "$3")
	if ! cw_mount_with "$1" "$2" "$cw_type" "$cw_wanted_options"; then
		cw_reason="$1 ($cw_type) cannot be mounted"
		[ "$3" = ro ] || cw_reason="$cw_reason for writing"
		cw_reason="$cw_reason: $(tail -n 1 "$cw_dir/mount.log")"
		return 1
	fi
	if ! cw_took_effect "$2" "$cw_wanted_options"; then
		umount "$2"
		cw_reason="$1 ($cw_type) was mounted without '$cw_missing';"
		cw_reason="$cw_reason if it is mounted elsewhere, unmount it"
		return 1
	fi
}

# cw_mount_or_same NODE DIR ro|rw: as cw_mount, when it is not mounted there
cw_mount_or_same() {
	if ! cw_find_mount "$2"; then
		cw_mount "$@"
	elif [ "$cw_mounted_node" != "$1" ]; then
		cw_reason="$cw_mounted_node is still mounted, not $1: leave"
		cw_reason="$cw_reason ${2}, then umount $2"
		return 1
	fi
}

# cw_remount_rw DIR NODE: true when it can be written and is as protected as before
cw_remount_rw() {
	: >"$cw_dir/mount.log"
	cw_wanted_options=$(cw_mount_options "$(cw_fstype_of "$2")" rw)
	mount -o "remount,$cw_wanted_options,nosymfollow" "$2" "$1" 2>/dev/null ||
		mount -o "remount,$cw_wanted_options" "$2" "$1" 2>"$cw_dir/mount.log" ||
		return
	cw_took_effect "$1" "$cw_wanted_options"
}

# cw_is_plain DIR PATH: no part of PATH below DIR is a symbolic link, and PATH is a
# file. So the maker of the medium cannot choose another file.
cw_is_plain() {
	cw_place=$1 cw_rest=${2#/}
	while [ "$cw_rest" ]; do
		cw_place=$cw_place/${cw_rest%%/*}
		case $cw_rest in
		*/*) cw_rest=${cw_rest#*/} ;;
		*) cw_rest='' ;;
		esac
		if [ -h "$cw_place" ]; then
			cw_reason="${cw_place#"$1"} is a symbolic link; on a medium"
			cw_reason="$cw_reason none is followed, name the file itself"
			return 1
		fi
	done
	if [ -e "$cw_place" ] && [ ! -f "$cw_place" ]; then
		cw_reason="${cw_place#"$1"} is no file; remove it or name another"
		return 1
	fi
}

# cw_can_write DIR: a mount may say rw and be none. Nothing is made, as a name may
# be anything on a medium already.
cw_can_write() {
	touch -c "$1"
} 2>/dev/null
