# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What mkbase and run share: filling a directory that becomes a cpio archive.
#
# sysroot is the directory with the guest's programs and libraries, where they are
# of another machine than this: scripts/guest-root.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

sysroot=''

# find_program NAME: its path in the guest
find_program() {
	local dir
	for dir in ${PATH//:/ }; do
		[ ! -e "$sysroot$dir/$1" ] || {
			echo "$dir/$1"
			return
		}
	done
	return 1
}

# libraries FILE: what it is linked with, paths in the guest
libraries() {
	if [ ! "$sysroot" ]; then
		# ldd says so and fails where the file is a script or static
		{ ldd "$1" 2>/dev/null || :; } | { grep -o '/[^ ]*' || :; }
		return
	fi
	readelf -dl "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p
		s/.*interpreter: \(.*\)\]/\1/p' | while read -r name; do
		case $name in
		/*) echo "/usr${name#/usr}" ;;
		*) (cd "$sysroot" && find usr/lib -name "$name" -printf '/%p\n' -quit) ;;
		esac
	done
}

# add_file ROOT PATH [AS]: a file of the host or the sysroot, into the tree ROOT under
# its own path in the guest or AS. Its shared libraries come along; links become what they
# point to.
add_file() {
	local lib as=${3-${2#"$sysroot"}}
	[ -e "$1$as" ] || install -D "$2" "$1$as"
	libraries "$2" | while read -r lib; do
		[ -e "$1$lib" ] || add_file "$1" "$sysroot$lib"
	done
}

# skeleton ROOT: the links of a merged /usr, as the paths of libraries expect
skeleton() {
	local name
	for name in bin sbin lib lib64; do
		mkdir -p "$1/usr/$name"
		ln -s "usr/$name" "$1/$name"
	done
}

# add_systemd ROOT TOP: what a system that systemd runs has besides, the tools where
# units look for them, and the test as a service
add_systemd() {
	local root=$1 top=$2 path
	dpkg -L systemd udev dbus dbus-daemon dbus-system-bus-common libpam-systemd \
		libpam-modules libpam-runtime | sort -u |
		grep -vE '^/usr/share/(doc|man|locale|bash-completion|zsh|lintian|bug)/|/hwdb' |
		while read -r path; do
			mkdir -p "$root$(dirname "$path")"
			case $path in
			*) [ ! -L "$path" ] || cp -P "$path" "$root$path" ;;&
			*/bin/* | */sbin/* | */lib/systemd/systemd* | *.so | *.so.*)
				[ -L "$path" ] || add_file "$root" "$path" ;;
			*)
				[ -L "$path" ] || [ ! -f "$path" ] ||
					cp "$path" "$root$path" ;;
			esac
		done
	for path in runuser login agetty sulogin kmod; do
		add_file "$root" "$(command -v $path)"
	done
	mkdir -p "$root/etc/systemd/system/sysinit.target.wants" \
		"$root/usr/lib/systemd/system-generators" "$root/var/log"
	cp -r "$top/tests/vm/booted/etc/." "$root/etc/"
	ln -sf /usr/lib/systemd/system/multi-user.target \
		"$root/etc/systemd/system/default.target"
	: >"$root/etc/machine-id"
	for path in "$root"/usr/local/bin/*; do
		ln -s "../local/bin/${path##*/}" "$root/usr/sbin/"
	done
	install "$top/systemd/cloopw-generator" \
		"$root/usr/lib/systemd/system-generators/"
	cp "$top"/udev/*.service "$root/usr/lib/systemd/system/"
	install -D "$top/tests/vm/booted/at-end" \
		"$root/usr/lib/systemd/system-shutdown/at-end"
	ln -sf /usr/lib/systemd/system/cloopw-detach.service \
		"$root/etc/systemd/system/sysinit.target.wants/"
}

# pack ROOT ARCHIVE
pack() {
	(cd "$1" && find . -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) >"$2"
}
