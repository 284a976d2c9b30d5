# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: its parameters. They are described in docs/howto/live.md.

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

# cw_is_number TEXT: decimal, and nothing that a shell would calculate wrongly
cw_is_number() {
	case $1 in
	'' | *[!0-9]* | ??????????*) return 1 ;;
	esac
}

# cw_decimal NUMBER: prints it without zeros before it: 08 is no octal number
cw_decimal() {
	cw_digits=$1
	while :; do
		case $cw_digits in
		0?*) cw_digits=${cw_digits#0} ;;
		*) break ;;
		esac
	done
	echo "$cw_digits"
}

# cw_is_path TEXT: that of a file below a mount point
cw_is_path() {
	case $1/ in
	*/../* | *//) return 1 ;;
	/?*) ;;
	*) return 1 ;;
	esac
}

# cw_is_size TEXT: a number and perhaps one unit
cw_is_size() {
	case $1 in
	*[KMGT]) cw_is_number "${1%?}" ;;
	*) cw_is_number "$1" ;;
	esac
}

# cw_plain_url URL: prints it without /NAME/../, by which a script of iPXE names a file
# beside itself
cw_plain_url() {
	cw_rest=$1
	while :; do
		cw_word=${cw_rest%%/../*}
		case $cw_word in
		"$cw_rest") break ;;
		http://?*/?* | https://?*/?*) cw_rest=${cw_word%/*}/${cw_rest#*/../} ;;
		*) break ;;
		esac
	done
	echo "$cw_rest"
}

cw_parse_image() {
	cw_image_url=''
	case $1 in
	http://?*/?* | https://?*/?*)
		cw_image_url=$(cw_plain_url "$1")
		cw_image_device=$cw_image_url cw_image_path=''
		return ;;
	esac
	cw_split "$1"
	if ! cw_is_device "$cw_split_device"; then
		cw_parse_error "cloopw.image=$1: want LABEL=NAME:/FILE," \
			"UUID=ID:/FILE, /dev/NAME:/FILE or http://SERVER/FILE"
	elif [ "$cw_split_path" ] && ! cw_is_path "$cw_split_path"; then
		cw_parse_error "cloopw.image=$1: '$cw_split_path' is no path of" \
			"a file on the medium"
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
	elif [ "$cw_split_path" ] && ! cw_is_path "$cw_split_path"; then
		cw_parse_error "cloopw.cow=$1: '$cw_split_path' is no path of" \
			"a file on the medium"
	fi
	cw_cow_device=$cw_split_device cw_cow_path=$cw_split_path
	cw_cow='file'
	[ "$cw_cow_path" ] || cw_cow=device
}

# The room of the cache is a part of the file's name, as in --net-cache.
cw_parse_netcache() {
	cw_split "${1%%,size=*}"
	cw_cache_device=$cw_split_device cw_cache_path=$cw_split_path cw_cache_size=''
	case $1 in
	*,size=*) cw_cache_size=${1##*,size=} ;;
	esac
	if ! cw_is_device "$cw_split_device" || ! cw_is_path "$cw_split_path"; then
		cw_parse_error "cloopw.netcache=$1: want LABEL=NAME:/FILE," \
			"UUID=ID:/FILE or /dev/NAME:/FILE, and perhaps ,size=SIZE"
	elif [ "$cw_cache_size" ] && ! cw_is_size "$cw_cache_size"; then
		cw_parse_error "cloopw.netcache=$1: '$cw_cache_size' is no size;" \
			"for example size=4G"
	fi
}

# cw_truth WORD: "cloopw.ro" and "cloopw.ro=1", or "cloopw.ro=0"; sets cw_true
cw_truth() {
	cw_true=y
	case $1 in
	*=1 | *=yes | *=on) ;;
	*=0 | *=no | *=off) cw_true= ;;
	*=*) cw_parse_error "$1: want 1 or 0" ;;
	esac
}

# cw_parse_word WORD: one of the kernel command line. dracut's names begin with rd.
cw_parse_word() {
	cw_value=${1#*=}
	case $1 in
	rd.cloopw.*) set -- "${1#rd.}" ;;
	esac
	case $1 in
	boot=*)
		cw_boot=
		[ "$cw_value" != cloopw ] || cw_boot=y ;;
	root=*)
		cw_wanted=
		[ "$cw_value" != cloopw ] || cw_wanted=y ;;
	rootfstype=*) cw_fstype=$cw_value ;;
	rootflags=*) cw_flags=$cw_value ;;
	cloopw.image=*) cw_parse_image "$cw_value" ;;
	cloopw.cow=*) cw_parse_cow "$cw_value" ;;
	cloopw.netcache=*) cw_parse_netcache "$cw_value" ;;
	cloopw.driver=*)
		cw_driver=$cw_value
		case $cw_value in
		auto | module | ublk) ;;
		*) cw_parse_error "$1: want auto, module or ublk" ;;
		esac ;;
	cloopw.grow=*)
		cw_grow=$cw_value
		cw_is_size "$cw_value" ||
			cw_parse_error "$1: want a size; for example cloopw.grow=8G" ;;
	cloopw.toram | cloopw.toram=*)
		cw_truth "$1"
		cw_toram=$cw_true ;;
	cloopw.ro | cloopw.ro=*)
		cw_truth "$1"
		cw_ro=$cw_true ;;
	cloopw.record | cloopw.record=*)
		cw_truth "$1"
		cw_record=$cw_true ;;
	cloopw.check | cloopw.check=*)
		cw_truth "$1"
		cw_check=$cw_true ;;
	cloopw.snapshot | cloopw.snapshot=*)
		cw_truth "$1"
		cw_snapshot=$cw_true ;;
	cloopw.rollback=*)
		cw_rollback=0
		if cw_is_number "$cw_value"; then
			cw_rollback=$(cw_decimal "$cw_value")
		else
			cw_parse_error "$1: want a number of boots"
		fi ;;
	cloopw.nopersist=*)
		cw_nopersist=$cw_value
		case $cw_value in
		stop | ram) ;;
		*) cw_parse_error "$1: want stop or ram" ;;
		esac ;;
	cloopw.wait=*)
		if cw_is_number "$cw_value"; then
			cw_wait=$(cw_decimal "$cw_value")
		else
			cw_parse_error "$1: want a number of seconds"
		fi ;;
	cloopw.*) cw_parse_error "$1: there is no such parameter" ;;
	esac
}

# cw_parse_words CMDLINE: quotes keep blanks together, as the kernel has it. No
# word is taken for a pattern of files.
cw_parse_words() {
	cw_rest="$1 " cw_word='' cw_quoted=
	while [ "$cw_rest" ]; do
		cw_part=${cw_rest%%[\"[:space:]]*}
		cw_word=$cw_word$cw_part
		cw_rest=${cw_rest#"$cw_part"}
		case $cw_quoted$cw_rest in
		\"*) cw_quoted=q ;;
		q\"*) cw_quoted='' ;;
		q?*) cw_word=$cw_word${cw_rest%"${cw_rest#?}"} ;;
		?*)
			[ ! "$cw_word" ] || cw_parse_word "$cw_word"
			cw_word='' ;;
		esac
		cw_rest=${cw_rest#?}
	done
	# a quote that is not closed
	[ ! "$cw_word" ] || cw_parse_word "${cw_word% }"
}

# cw_parse CMDLINE
cw_parse() {
	cw_wanted='' cw_boot='' cw_errors='' cw_fstype='' cw_flags=''
	cw_image_device='' cw_image_path='' cw_image_url=''
	cw_cow=ram cw_cow_limit='' cw_cow_device='' cw_cow_path=''
	cw_toram='' cw_ro='' cw_check='' cw_snapshot='' cw_rollback=''
	cw_nopersist=stop cw_wait=30 cw_driver=auto cw_record='' cw_grow='' cw_cache=''
	cw_cache_device='' cw_cache_path='' cw_cache_size='' cw_as_is=''
	cw_parse_words "$1"
	# initramfs-tools' way to choose who mounts the root
	[ ! "$cw_boot" ] || cw_wanted=y
	[ "$cw_wanted" ] || return 0
	[ "$cw_image_device" ] || [ "$cw_errors" ] ||
		cw_parse_error 'cloopw.image= is missing: where is the image?' \
			'For example cloopw.image=LABEL=LIVE:/live/root.cloopw'
	if [ "$cw_image_url" ]; then
		[ "$cw_driver" != module ] || cw_parse_error 'cloopw.driver=module' \
			'reads no URL; leave it away, and ublk does'
		[ ! "$cw_toram" ] || cw_parse_error 'cloopw.toram copies no URL;' \
			'leave it away'
		cw_driver=ublk
	elif [ "$cw_cache_device" ]; then
		cw_parse_error 'cloopw.netcache keeps what comes over the network,' \
			'and cloopw.image is no URL: leave it away'
	fi
	if [ "$cw_snapshot$cw_rollback" ] && [ "$cw_cow" != file ]; then
		cw_parse_error 'cloopw.snapshot and cloopw.rollback need a COW' \
			'file: cloopw.cow=LABEL=NAME:/FILE'
	fi
	if [ "$cw_cache_device" ] && [ "$cw_ro" ]; then
		cw_parse_error 'cloopw.netcache writes, cloopw.ro does not:' \
			'only one of them'
	fi
	if [ "$cw_snapshot" ] && [ "$cw_ro" ]; then
		cw_parse_error 'cloopw.snapshot writes, cloopw.ro does not:' \
			'only one of them'
	fi
}
