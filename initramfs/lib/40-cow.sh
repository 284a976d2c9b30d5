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

# cw_last_layer: the highest number there is, -1 when there is none
cw_last_layer() {
	cw_last=-1
	[ ! -e "$cw_cow_file" ] || cw_last=0
	for cw_word in "$cw_cow_file".*; do
		cw_word=${cw_word##*.}
		if cw_is_number "$cw_word" && [ "$cw_word" -gt "$cw_last" ]; then
			cw_last=$cw_word
		fi
	done
	echo "$cw_last"
}

# cw_choose_layers: sets cw_top, and cw_below ('' for none: cloopwsetup finds
# what a layer lies over). The time series of layers is 0, 1, 2...: one a boot
# with cloopw.snapshot, the last one is written. What is N boots ago is what
# was written N layers before the last; going back there makes a new last one
# over it and removes nothing.
cw_choose_layers() {
	cw_last=$(cw_last_layer) cw_below=''
	cw_target=$((cw_last - ${cw_rollback:-0}))
	if [ $cw_target -lt -1 ]; then
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
}

# cw_mount_cow: the file system of the COW file; the medium's, made writable,
# when it is the same. Sets cw_cow_file.
cw_mount_cow() {
	cw_mode=rw
	[ ! "$cw_ro" ] || cw_mode=ro
	if cw_is_mounted "$cw_dir/medium" && [ "$1" = "$cw_medium_node" ]; then
		cw_cow_dir=$cw_dir/medium
		[ "$cw_ro" ] || mount -o "remount,$(cw_mount_options \
			"$(cw_fstype_of "$1")" rw)" "$1" "$cw_cow_dir" 2>/dev/null || :
	else
		cw_cow_dir=$cw_dir/persistent
		cw_is_mounted "$cw_cow_dir" ||
			cw_mount "$1" "$cw_cow_dir" $cw_mode || return
	fi
	cw_cow_file=$cw_cow_dir$cw_cow_path
	[ ! "$cw_ro" ] || return 0
	if ! cw_can_write "$cw_cow_dir"; then
		cw_reason="$cw_cow_device ($1) cannot be written"
		return 1
	fi
	mkdir -p "${cw_cow_file%/*}"
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
		cw_mount_cow "$cw_cow_node" && cw_choose_layers || return
	fi
	set --
	[ ! "$cw_ro" ] || set -- -r
	[ ! "$cw_top" ] || set -- "$@" -c "$cw_top"
	[ ! "$cw_below" ] || set -- "$@" -c "$cw_below"
	cw_attach "$@" || return
	cw_say "changes are kept in $cw_cow_device${cw_cow_path:+:${cw_top#"$cw_cow_dir"}}${cw_below:+, over ${cw_below#"$cw_cow_dir"}}"
}

# cw_attach_ram: half of the memory at most, unless a limit was given
cw_attach_ram() {
	cw_limit=${cw_cow_limit:-$(($(cw_meminfo MemTotal) / 2))K}
	cw_attach "--ram=$cw_limit" || return
	cw_say "changes are kept in RAM, up to ${cw_limit%K}${cw_cow_limit:+ bytes}${cw_cow_limit:- KiB}"
}
