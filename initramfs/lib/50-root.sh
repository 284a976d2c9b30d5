# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: attaching the device, mounting the root file system.

# cw_load_module: the module cloopw, not by modprobe alone, which would pass
# cloopw.image and the others to it as its parameters
cw_load_module() {
	[ ! -c /dev/cloopw-control ] || return 0
	modprobe -qb --show-depends cloopw | while read -r cw_word cw_file cw_value
	do
		[ "$cw_word" = insmod ] || continue
		insmod "$cw_file" 2>/dev/null || :
	done
	[ -d /sys/module/cloopw ] || modprobe cloopw 2>"$cw_dir/modprobe.log" || {
		cw_reason="the module cloopw cannot be loaded:"
		cw_reason="$cw_reason $(tail -n 1 "$cw_dir/modprobe.log") (kernel"
		cw_reason="$cw_reason $(uname -r); 'dmesg' may tell more)"
		return 1
	}
}

# cw_load_ublk: the kernel's own driver, for a server without the module
cw_load_ublk() {
	[ ! -c /dev/ublk-control ] || return 0
	modprobe ublk_drv 2>"$cw_dir/modprobe.log" || {
		cw_reason="${cw_reason:+$cw_reason; and }the module ublk_drv cannot be"
		cw_reason="$cw_reason loaded: $(tail -n 1 "$cw_dir/modprobe.log")"
		return 1
	}
}

# cw_choose_driver: sets cw_way, the option of cloopwsetup. A kernel that refuses the
# module, as Secure Boot makes it do, may have ublk.
cw_choose_driver() {
	if [ "$cw_driver" != ublk ] && cw_load_module; then
		cw_way=--driver
		return
	fi
	[ "$cw_driver" != module ] && cw_load_ublk || return
	cw_way=--userspace=ublk
	[ ! "$cw_reason" ] || cw_say "going on with ublk: $cw_reason"
	cw_reason=
}

# cw_setup OPTIONS...: cloopwsetup. A root file system waits for its web server as long as
# it takes. cw_as_is: this attach is not the root's, and nothing grows.
cw_setup() {
	[ ! "$cw_image_url" ] || set -- --net-timeout 0 "$@"
	[ ! "$cw_cache" ] ||
		set -- --net-cache "$cw_cache${cw_cache_size:+,size=$cw_cache_size}" "$@"
	[ ! "$cw_record" ] || set -- --recording "$@"
	if [ ! "$cw_grow" ] || [ "$cw_ro" ] || [ "$cw_as_is" ]; then
		cw_run_setup "$@"
	elif ! cw_run_setup "--resize=$cw_grow" "$@"; then
		cw_without=$(cw_setup_said)
		cw_run_setup "$@" || return
		cw_loud "cloopw.grow=$cw_grow: THE ROOT KEEPS ITS SIZE: $cw_without"
	fi
}

cw_setup_said() {
	sed 's/^cloopwsetup: //' "$cw_dir/setup.log" | tail -n 1
}

# cw_run_setup OPTIONS...
cw_run_setup() {
	cloopwsetup "$cw_way" --cache 16M "$@" "$cw_device" "$cw_image" 2>"$cw_dir/setup.log" ||
		return
	cw_reason=
}

# cw_attach OPTIONS... The page cache of the root file system keeps the data. The
# driver's own cache is for blocks of which readers want parts.
cw_attach() {
	cw_waited=0
	until cw_setup "$@"; do
		cw_reason=$(cw_setup_said)
		# a web server, or the way to it, may not be there yet
		[ "$cw_image_url" ] && [ "$cw_waited" -lt "$cw_wait" ] || return 1
		[ "$cw_waited" != 0 ] || cw_say "waiting for the image: $cw_reason"
		cw_waited=$((cw_waited + 1))
		sleep 1
	done
}

# cw_attach_writable: what was asked for. When the boot cannot keep changes, the user
# decides how it goes on, by parameter or in the shell.
cw_attach_writable() {
	cw_need_image || return
	if [ "$cw_cow" != ram ]; then
		cw_attach_persistent && return
		cw_loud "CHANGES CANNOT BE KEPT as asked for with" \
			"cloopw.cow=$cw_cow_device${cw_cow_path:+:$cw_cow_path}:" \
			"$cw_reason"
		if [ "$cw_nopersist" != ram ] && [ ! -e /run/cloopw-ram ]; then
			cw_reason="$cw_reason. Stopped, because cloopw.nopersist=ram"
			cw_reason="$cw_reason was not given. To go on in RAM for"
			cw_reason="$cw_reason this time: touch /run/cloopw-ram; exit."
			cw_reason="$cw_reason To try again: exit"
			return 1
		fi
		cw_loud "GOING ON IN RAM: all changes are lost at shutdown"
		echo "$cw_reason" >"$cw_dir/not-persistent"
		cw_drop_persistent
	fi
	if [ "$cw_ro" ]; then
		cw_attach -r
	else
		cw_attach_ram
	fi
}

# cw_drop_persistent: what will not be used is not kept busy
cw_drop_persistent() {
	! cw_is_mounted "$cw_dir/persistent" ||
		umount "$cw_dir/persistent" || :
}

# cw_root_options TYPE: discards give the COW's space back
cw_root_options() {
	cw_options=rw
	[ ! "$cw_ro" ] || cw_options=ro
	if [ "$cw_flags" ]; then
		cw_options=$cw_options,$cw_flags
	elif [ ! "$cw_ro" ]; then
		case $1 in
		ext4 | xfs | btrfs | f2fs) cw_options=$cw_options,discard ;;
		esac
	fi
	echo "$cw_options"
}

# cw_mount_device DIR
cw_mount_device() {
	cw_type=${cw_fstype:-$(cw_fstype_of "$cw_device")}
	if [ ! "$cw_type" ]; then
		cw_reason="$cw_image_device:$cw_image_path holds no file system"
		return 1
	fi
	modprobe -qb "$cw_type" || :
	# The driver's read-ahead suits long files. Around each page of a program it
	# would decompress far more than a boot needs.
	cw_word=$(readlink -f "$cw_device")
	echo 128 >"/sys/block/${cw_word#/dev/}/queue/read_ahead_kb" || :
	cw_options=$(cw_root_options "$cw_type")
	mount -t "$cw_type" -o "$cw_options" "$cw_device" "$1" \
		2>"$cw_dir/mount.log" && return
	# an unclean journal cannot be replayed on what is not written
	if [ "$cw_ro" ] && [ "$(cw_no_replay "$cw_type")" ] && mount -t "$cw_type" \
		-o "$cw_options,$(cw_no_replay "$cw_type")" "$cw_device" "$1" \
		2>/dev/null; then
		cw_say "the root file system was not unmounted cleanly;" \
			"read-only, it is used as it is"
		return
	fi
	cw_reason="$cw_device ($cw_type) cannot be mounted with"
	cw_reason="$cw_reason '$cw_options': $(tail -n 1 "$cw_dir/mount.log")"
	return 1
}

# cw_retry WHAT COMMAND...: until it works; a shell in between
cw_retry() {
	cw_what=$1
	shift
	cw_reason=
	until "$@"; do
		cw_shell "cloopw: $cw_what: $cw_reason"
		cw_reason=
		cw_forget_media
	done
}

cw_params_good() {
	cw_reason="$cw_errors (in the kernel command line; edit it in the boot menu)"
	[ ! "$cw_errors" ]
}

# cw_make_run: where the mounts are. exec, because shutdown runs from there.
cw_make_run() {
	mkdir -p "$cw_run"
	cw_is_mounted "$cw_run" ||
		mount -t tmpfs -o mode=755,nosuid,nodev,exec tmpfs "$cw_run"
	# the media are for root, whatever rights their file systems know
	mkdir -p "$cw_dir"
	chmod 700 "$cw_dir"
}

# cw_mount_root DIR: after cw_parse
cw_mount_root() {
	cw_make_run
	cw_retry 'cannot start' cw_params_good
	cw_retry 'cannot start' cw_choose_driver
	cw_retry 'no image' cw_find_image
	[ ! "$cw_toram" ] || cw_copy_to_ram
	[ ! "$cw_check" ] || cw_retry 'cannot start' cw_check_image
	cw_retry 'cannot attach the image' cw_attach_writable
	cw_retry 'no root file system' cw_mount_device "$1"
	cw_make_shutdown || cw_loud "the tree for the shutdown could not be made:" \
		"changes are flushed then, but the medium stays in use"
}
