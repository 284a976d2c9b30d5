# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: where changes are kept.

# cw_layer N: the file of layer N; 0 is the one that was named
cw_layer() {
	if [ "$1" = 0 ]; then
		echo "$cw_cow_file"
	else
		echo "$cw_cow_file.$1"
	fi
}

# Layers are numbered by the boots. Larger numbers, and jumps, are others' names: of
# copies with a date. Merging leaves gaps, but not such.
cw_layer_most=9999
cw_layer_gap=1000

# cw_is_layer_number TEXT: as cw_layer writes it
cw_is_layer_number() {
	case $1 in
	0*) return 1 ;;
	esac
	cw_is_number "$1" && [ "$1" -le $cw_layer_most ]
}

# cw_next_layer N: prints the lowest number above N that there is, N when none is
cw_next_layer() {
	cw_next=$1
	for cw_word in "$cw_cow_file".*; do
		cw_word=${cw_word#"$cw_cow_file".}
		cw_is_layer_number "$cw_word" || continue
		[ "$cw_word" -gt "$1" ] || continue
		if [ "$cw_next" = "$1" ] || [ "$cw_word" -lt "$cw_next" ]; then
			cw_next=$cw_word
		fi
	done
	echo "$cw_next"
}

# cw_last_layer: the highest number there is, -1 when there is none
cw_last_layer() {
	cw_last=-1
	[ ! -e "$cw_cow_file" ] || cw_last=0
	while :; do
		cw_next=$(cw_next_layer "$cw_last")
		[ "$cw_next" -gt "$cw_last" ] || break
		if [ $((cw_next - cw_last)) -gt $cw_layer_gap ]; then
			cw_say "${cw_cow_file##*/}.$cw_next is not taken for a" \
				"layer, its number is too far from $cw_last" >&2
			break
		fi
		cw_last=$cw_next
	done
	echo "$cw_last"
}

# cw_choose_layers: sets cw_top, and cw_below ('' for none: cloopwsetup finds what a
# layer lies over). The time series of layers is 0, 1, 2...: one a boot with
# cloopw.snapshot, the last one is written. The state N boots ago is the layer N before
# the last. Going back makes a new last layer over it and removes nothing.
cw_choose_layers() {
	cw_last=$(cw_last_layer) cw_below=''
	cw_target=$((cw_last - ${cw_rollback:-0}))
	if [ "$cw_target" -lt -1 ]; then
		cw_reason="cloopw.rollback=$cw_rollback: there were only"
		cw_reason="$cw_reason $((cw_last + 1)) boots"
		return 1
	fi
	if [ "$cw_ro" ]; then
		cw_top=''
		[ $cw_target -lt 0 ] || cw_top=$(cw_layer $cw_target)
	elif [ "$cw_snapshot" ] || [ "${cw_rollback:-0}" != 0 ]; then
		cw_top=$(cw_layer $((cw_last + 1)))
		[ $cw_target -lt 0 ] || cw_below=$(cw_layer $cw_target)
	elif [ "$cw_last" -lt 0 ]; then
		cw_top=$cw_cow_file
	else
		cw_top=$(cw_layer "$cw_last")
	fi
	cw_check_layers
}

# cw_check_layers: those that were chosen
cw_check_layers() {
	if [ "$cw_top" = "$(cw_layer $((cw_layer_most + 1)))" ]; then
		cw_reason="${cw_cow_file##*/}.$cw_layer_most is the last layer that"
		cw_reason="$cw_reason there may be: make a new image of them with"
		cw_reason="$cw_reason 'mkcloopw --cow', or merge and rename them"
		return 1
	fi
	for cw_word in "$cw_top" "$cw_below"; do
		[ ! "$cw_word" ] ||
			cw_is_plain "$cw_cow_dir" "${cw_word#"$cw_cow_dir"}" ||
			return
	done
}

# cw_mount_cow: the file system of the COW file; the medium's, made writable,
# when it is the same. Sets cw_cow_file.
cw_mount_cow() {
	cw_mode=rw
	[ ! "$cw_ro" ] || cw_mode=ro
	if cw_is_mounted "$cw_dir/medium" && [ "$1" = "$cw_medium_node" ]; then
		cw_cow_dir=$cw_dir/medium
		if [ ! "$cw_ro" ] && ! cw_remount_rw "$cw_cow_dir" "$1"; then
			cw_reason="$cw_cow_device ($1) cannot be made writable:"
			cw_reason="$cw_reason it has no '$cw_missing'"
			cw_reason="$cw_reason $(tail -n 1 "$cw_dir/mount.log")"
			return 1
		fi
	else
		cw_cow_dir=$cw_dir/persistent
		cw_mount_or_same "$1" "$cw_cow_dir" $cw_mode || return
	fi
	cw_cow_file=$cw_cow_dir$cw_cow_path
	[ ! "$cw_ro" ] || return 0
	if ! cw_can_write "$cw_cow_dir"; then
		cw_reason="$cw_cow_device ($1) cannot be written"
		return 1
	fi
	cw_is_plain "$cw_cow_dir" "$cw_cow_path" || return
	if ! mkdir -p "${cw_cow_file%/*}"; then
		cw_reason="$cw_cow_device ($1): no directory can be made there for"
		cw_reason="$cw_reason $cw_cow_path"
		return 1
	fi
}

# cw_keep_private FILE...: a COW holds what only root may read of the system
cw_keep_private() {
	[ "$cw_cow" = file ] && [ ! "$cw_ro" ] || return 0
	for cw_word; do
		[ "$cw_word" ] || continue
		chmod go= "$cw_word" 2>/dev/null || :
		case $(stat -c %a "$cw_word") in
		*00) ;;
		*) cw_loud "${cw_word#"$cw_cow_dir"} can be read by all users" \
			"where its file system is mounted" ;;
		esac
	done
}

# cw_finish_last: an attach of a new layer finishes its snapshot, when a power cut
# stopped that. So the boot attaches the last layer before it goes back from it. It may
# be damaged: that is a reason to go back.
cw_finish_last() {
	[ ! "$cw_ro" ] && [ "${cw_rollback:-0}" != 0 ] || return 0
	cw_top=$(cw_layer "$(cw_last_layer)")
	cw_as_is=y
	if [ -e "$cw_top" ] && cw_is_plain "$cw_cow_dir" "${cw_top#"$cw_cow_dir"}" &&
		cw_attach -c "$cw_top"; then
		cloopwsetup -d "$cw_device" || :
	fi
	cw_as_is=''
	cw_reason=
}

# cw_mend_and_attach OPTIONS...: once more, if power was cut while a superblock was
# written and the medium lost its block with it. Whether anything but that block is
# lost, cloopwck knows, and writes only if nothing is.
cw_mend_and_attach() {
	[ ! "$cw_ro" ] && [ -e "$cw_top" ] && cw_status=0 || return 1
	cloopwck --quick --yes "$cw_top" >"$cw_dir/check.log" 2>&1 || cw_status=$?
	[ $((cw_status & 1)) = 1 ] || return 1
	cw_loud "THE CHANGES WERE REPAIRED: their superblock was damaged, as a" \
		"power cut can do. cloopwck found that nothing else was lost"
	cw_attach "$@"
}

# cw_attach_blank: the image alone, when nothing may be written and the device of the COW
# has none yet
cw_attach_blank() {
	case $cw_cow,$cw_ro,$cw_reason in
	device,y,*'no COW file is made'*) ;;
	*) return 1 ;;
	esac
	cw_top=''
	cw_attach -r && cw_say "$cw_cow_device holds no changes yet"
}

# cw_attach_persistent: with what was asked for; false with cw_reason
cw_attach_persistent() {
	if ! cw_cow_node=$(cw_wait_for "$cw_cow_device" 'persistent medium'); then
		cw_reason="$cw_cow_device is not there. There are:"
		cw_reason="$cw_reason $(cw_list_devices)"
		return 1
	fi
	if [ "$cw_cow" = device ]; then
		cw_top=$cw_cow_node cw_below=''
	else
		cw_mount_cow "$cw_cow_node" || return
		cw_finish_last
		cw_choose_layers || return
	fi
	set --
	[ ! "$cw_ro" ] || set -- -r
	[ ! "$cw_top" ] || set -- "$@" -c "$cw_top"
	[ ! "$cw_below" ] || set -- "$@" -c "$cw_below"
	if ! cw_attach "$@" && ! cw_mend_and_attach "$@"; then
		cw_attach_blank
		return
	fi
	cw_keep_private "$cw_top" "$cw_below"
	cw_say "changes are kept in $cw_cow_device${cw_cow_path:+:${cw_top#"$cw_cow_dir"}}${cw_below:+, over ${cw_below#"$cw_cow_dir"}}"
}

# cw_attach_ram: half of the memory at most, unless a limit was given
cw_attach_ram() {
	cw_limit=${cw_cow_limit:-$(($(cw_meminfo MemTotal) / 2))K}
	cw_attach "--ram=$cw_limit" || return
	cw_say "changes are kept in RAM, up to ${cw_limit%K}${cw_cow_limit:+ bytes}${cw_cow_limit:- KiB}"
}
