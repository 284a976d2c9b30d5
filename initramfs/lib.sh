# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# Root on cloopw: what the initramfs of either kind does (initramfs-tools,
# dracut). POSIX shell for dash and busybox; sourced.
#
# Whoever sources this defines
#   cw_shell MESSAGE...   show the message, give a shell, return when it is left
# and calls
#   cw_parse "$(cat /proc/cmdline)"   sets cw_wanted and the cw_* below
#   cw_mount_root DIR                 all the rest
#
# The parameters are described in docs/live.md.

# Mounts that have to outlive the root file system. systemd and dracut leave
# what is below /run/initramfs alone until the very end.
cw_run=/run/initramfs
cw_dir=$cw_run/cloopw
cw_device=/dev/cloopw0

cw_say() {
	echo "cloopw: $*"
}

# cw_loud TEXT: cannot be overlooked, and is in the kernel's log too
cw_loud() {
	echo
	echo "*** cloopw: $*"
	echo
	{ echo "<3>cloopw: $*" >/dev/kmsg; } 2>/dev/null || :
}

# ---- parameters ----

cw_parse_error() {
	cw_errors="${cw_errors}${cw_errors:+; }$*"
}

# cw_split VALUE: DEVICE:/PATH; sets cw_split_device and cw_split_path (empty:
# the device itself)
cw_split() {
	cw_split_device=${1%%:/*} cw_split_path=
	case $1 in
	*:/*) cw_split_path=/${1#*:/} ;;
	esac
}

# cw_is_device NAME: a device as parameters name it
cw_is_device() {
	case $1 in
	LABEL=?* | UUID=?* | PARTLABEL=?* | PARTUUID=?* | /dev/?*) ;;
	*) return 1 ;;
	esac
}

cw_is_number() {
	case $1 in
	'' | *[!0-9]*) return 1 ;;
	esac
}

# cw_is_size TEXT: a number and perhaps one unit
cw_is_size() {
	case $1 in
	*[KMGT]) cw_is_number "${1%?}" ;;
	*) cw_is_number "$1" ;;
	esac
}

cw_parse_image() {
	cw_split "$1"
	if ! cw_is_device "$cw_split_device"; then
		cw_parse_error "cloopw.image=$1: want LABEL=NAME:/FILE," \
			"UUID=ID:/FILE or /dev/NAME:/FILE"
	fi
	cw_image_device=$cw_split_device cw_image_path=$cw_split_path
}

cw_parse_cow() {
	case $1 in
	ram | ram:*)
		cw_cow=ram cw_cow_limit=${1#ram} cw_cow_limit=${cw_cow_limit#:}
		if [ "$1" != ram ] && ! cw_is_size "$cw_cow_limit"; then
			cw_parse_error "cloopw.cow=$1: '$cw_cow_limit' is no" \
				"size; for example ram:512M"
		fi
		return ;;
	esac
	cw_split "$1"
	if ! cw_is_device "$cw_split_device"; then
		cw_parse_error "cloopw.cow=$1: want ram, ram:SIZE," \
			"LABEL=NAME:/FILE, UUID=ID:/FILE, /dev/NAME:/FILE or a" \
			"whole partition: /dev/NAME"
	fi
	cw_cow_device=$cw_split_device cw_cow_path=$cw_split_path
	cw_cow='file'
	[ "$cw_cow_path" ] || cw_cow=device
}

# cw_parse_word WORD: one of the kernel command line
cw_parse_word() {
	cw_value=${1#*=}
	case $1 in
	root=*)
		cw_wanted=
		[ "$cw_value" != cloopw ] || cw_wanted=y ;;
	rootfstype=*) cw_fstype=$cw_value ;;
	rootflags=*) cw_flags=$cw_value ;;
	cloopw.image=*) cw_parse_image "$cw_value" ;;
	cloopw.cow=*) cw_parse_cow "$cw_value" ;;
	cloopw.toram) cw_toram=y ;;
	cloopw.ro) cw_ro=y ;;
	cloopw.check) cw_check=y ;;
	cloopw.snapshot) cw_snapshot=y ;;
	cloopw.rollback=*)
		cw_rollback=$cw_value
		cw_is_number "$cw_value" ||
			cw_parse_error "$1: want a number of boots" ;;
	cloopw.nopersist=*)
		cw_nopersist=$cw_value
		case $cw_value in
		stop | ram) ;;
		*) cw_parse_error "$1: want stop or ram" ;;
		esac ;;
	cloopw.wait=*)
		cw_wait=$cw_value
		cw_is_number "$cw_value" ||
			cw_parse_error "$1: want a number of seconds" ;;
	cloopw.*) cw_parse_error "$1: there is no such parameter" ;;
	esac
}

# cw_parse CMDLINE
cw_parse() {
	cw_wanted='' cw_errors='' cw_fstype='' cw_flags=''
	cw_image_device='' cw_image_path=''
	cw_cow=ram cw_cow_limit='' cw_cow_device='' cw_cow_path=''
	cw_toram='' cw_ro='' cw_check='' cw_snapshot='' cw_rollback=''
	cw_nopersist=stop cw_wait=30
	for cw_word in $1; do
		cw_parse_word "$cw_word"
	done
	[ "$cw_wanted" ] || return 0
	[ "$cw_image_device" ] || [ "$cw_errors" ] ||
		cw_parse_error 'cloopw.image= is missing: where is the image?' \
			'For example cloopw.image=LABEL=LIVE:/live/root.cloopw'
	if [ "$cw_snapshot$cw_rollback" ] && [ "$cw_cow" != file ]; then
		cw_parse_error 'cloopw.snapshot and cloopw.rollback need a COW' \
			'file: cloopw.cow=LABEL=NAME:/FILE'
	fi
	if [ "$cw_snapshot" ] && [ "$cw_ro" ]; then
		cw_parse_error 'cloopw.snapshot writes, cloopw.ro does not:' \
			'only one of them'
	fi
}

# ---- devices and file systems ----

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

# ---- the image ----

# cw_find_image: mounts the medium, unless the image is a whole partition. Sets
# cw_image, cw_medium_node, and cw_reason on failure.
cw_find_image() {
	cw_image=''
	if ! cw_medium_node=$(cw_wait_for "$cw_image_device" 'live medium'); then
		cw_reason="the live medium $cw_image_device is not there. Is it"
		cw_reason="$cw_reason plugged in? There are: $(cw_list_devices)"
		return 1
	fi
	if [ ! "$cw_image_path" ]; then
		cw_image=$cw_medium_node
		return
	fi
	cw_is_mounted "$cw_dir/medium" ||
		cw_mount "$cw_medium_node" "$cw_dir/medium" ro || return
	cw_image=$cw_dir/medium$cw_image_path
	if [ ! -f "$cw_image" ]; then
		cw_reason="there is no file $cw_image_path on $cw_image_device"
		cw_reason="$cw_reason ($cw_medium_node)"
		umount "$cw_dir/medium"
		return 1
	fi
}

# cw_list_devices: for a message
cw_list_devices() {
	for cw_word in /sys/class/block/*; do
		cw_word=${cw_word##*/}
		case $cw_word in
		ram* | loop* | cloopw* | '*' | fd*) continue ;;
		esac
		cw_label=$(blkid -c /dev/null -o value -s LABEL "/dev/$cw_word")
		printf '%s ' "/dev/$cw_word${cw_label:+ (LABEL=$cw_label)}"
	done
}

cw_size_kib() {
	if [ -b "$1" ]; then
		cw_name=$(readlink -f "$1")
		echo $(($(cat "/sys/class/block/${cw_name##*/}/size") / 2))
	else
		echo $((($(stat -c %s "$1") + 1023) / 1024))
	fi
}

# cw_meminfo NAME: KiB
cw_meminfo() {
	sed -n "s/^$1: *\([0-9]*\) kB\$/\1/p" /proc/meminfo
}

# cw_copy_to_ram: of the image; it stays where it is when there is no room
cw_copy_to_ram() {
	cw_need=$(cw_size_kib "$cw_image")
	cw_have=$(cw_meminfo MemAvailable)
	if [ $((cw_need + 65536)) -gt "$cw_have" ]; then
		cw_loud "cloopw.toram: the image has $((cw_need / 1024)) MiB," \
			"$((cw_have / 1024)) MiB of memory are free: it is" \
			"used from the medium, which must stay plugged in"
		return 0
	fi
	cw_say "copying the image to RAM ($((cw_need / 1024)) MiB)"
	mkdir -p "$cw_dir/ram"
	mount -t tmpfs -o "mode=700,size=$((cw_need + 1024))k" tmpfs "$cw_dir/ram"
	if ! cp "$cw_image" "$cw_dir/ram/root.cloopw"; then
		umount "$cw_dir/ram"
		cw_loud "cloopw.toram: the image could not be copied, it is" \
			"used from the medium"
		return 0
	fi
	# The COW knows its image by UUID, or by the time of its file.
	touch -r "$cw_image" "$cw_dir/ram/root.cloopw"
	mount -o remount,ro "$cw_dir/ram"
	cw_image=$cw_dir/ram/root.cloopw
	if cw_is_mounted "$cw_dir/medium" && umount "$cw_dir/medium"; then
		cw_say "the medium $cw_image_device is not needed any more"
	fi
}

# cw_check_image: reads every block; the driver compares the checksums
cw_check_image() {
	cw_say "checking the image, block by block"
	cw_attach -r || return
	if dd if="$cw_device" of=/dev/null bs=1M 2>"$cw_dir/check.log"; then
		cw_say "CHECK PASSED: every block of" \
			"$cw_image_device:$cw_image_path is intact"
	else
		cw_reason="CHECK FAILED: the image is damaged, blocks cannot be"
		cw_reason="$cw_reason read; 'dmesg' names them. Write the"
		cw_reason="$cw_reason medium anew"
		cloopwsetup -d "$cw_device"
		return 1
	fi
	cloopwsetup -d "$cw_device"
}

# ---- the COW ----

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

# ---- attach and mount ----

# cw_load_module: not by modprobe alone, which would pass cloopw.image and the
# others to the module as its parameters
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

# cw_attach OPTIONS...
cw_attach() {
	if ! cloopwsetup "$@" "$cw_device" "$cw_image" 2>"$cw_dir/setup.log"; then
		cw_reason=$(sed 's/^cloopwsetup: //' "$cw_dir/setup.log" | tail -n 1)
		return 1
	fi
}

# cw_attach_writable: what was asked for. What becomes of a boot whose changes
# cannot be kept is the user's decision, by parameter or in the shell.
cw_attach_writable() {
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
	cw_options=$(cw_root_options "$cw_type")
	mount -t "$cw_type" -o "$cw_options" "$cw_device" "$1" \
		2>"$cw_dir/mount.log" && return
	# an unclean journal cannot be replayed on what is not written
	if [ "$cw_ro" ] && [ "$cw_type" = ext4 ] && mount -t ext4 \
		-o "$cw_options,noload" "$cw_device" "$1" 2>/dev/null; then
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
	mkdir -p "$cw_dir"
}

# cw_mount_root DIR: after cw_parse
cw_mount_root() {
	cw_make_run
	cw_retry 'cannot start' cw_params_good
	cw_retry 'cannot start' cw_load_module
	cw_retry 'no image' cw_find_image
	[ ! "$cw_toram" ] || cw_copy_to_ram
	[ ! "$cw_check" ] || cw_retry 'cannot start' cw_check_image
	cw_retry 'cannot attach the image' cw_attach_writable
	cw_retry 'no root file system' cw_mount_device "$1"
	cw_make_shutdown || cw_loud "the tree for the shutdown could not be made:" \
		"changes are flushed then, but the medium stays in use"
}

# ---- the end ----

# cw_keep PROGRAM AS: with its libraries, in the tree for the shutdown. The
# dynamic loader tells which they are, as it does for ldd, which is not here.
cw_keep() {
	cp -L "$1" "$cw_run$2" || return
	LD_TRACE_LOADED_OBJECTS=1 "$1" | grep -o '/[^ ]*' |
		while read -r cw_file; do
			[ -f "$cw_file" ] || continue
			mkdir -p "$cw_run${cw_file%/*}" &&
				cp -L "$cw_file" "$cw_run$cw_file" || return
		done
}

# cw_make_shutdown: what detaches the root file system after it has been
# unmounted. Made here and now, because at shutdown nothing can be relied on:
# programs are being killed, and the COW may be full.
cw_make_shutdown() {
	for cw_name in bin lib dev proc sys run tmp oldroot; do
		mkdir -p "$cw_run/$cw_name" || return
	done
	cw_keep "$(command -v cloopwsetup)" /bin/cloopwsetup &&
		cw_keep "$(command -v busybox)" /bin/busybox || return
	for cw_name in sh mount umount mkdir sleep sync reboot halt poweroff; do
		ln -sf busybox "$cw_run/bin/$cw_name" || return
	done
	cp /lib/cloopw.sh "$cw_run/lib/cloopw.sh" &&
		cp /lib/cloopw-shutdown "$cw_run/shutdown.new" &&
		chmod 755 "$cw_run/shutdown.new" || return
	# the last one: with it, systemd comes here
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

# cw_free_media: the media lie below the root that lies on them; move them away
cw_free_media() {
	mount --make-rprivate /
	for cw_name in medium persistent ram; do
		cw_moved=
		for cw_where in $(cw_mounts "*$cw_dir/$cw_name"); do
			mkdir -p "/media-of-cloopw/$cw_name"
			if [ ! "$cw_moved" ]; then
				mount --move "$cw_where" "/media-of-cloopw/$cw_name"
				cw_moved=y
			else
				umount "$cw_where"
			fi
		done
	done
}

# cw_unmount_root DIR: with all below; processes may take a moment to end
cw_unmount_root() {
	cw_left=10
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
	cw_free_media
	if ! cw_unmount_root "$1"; then
		# what was written is kept all the same
		mount -o remount,ro "$1" 2>/dev/null || :
		sync
		cw_loud "the root file system is still in use; it was flushed"
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
