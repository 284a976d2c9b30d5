#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Debian packages this project needs, by purpose.
#
#   scripts/deps.sh tools vm       install what is missing of these groups
#   scripts/deps.sh --list vm      print the packages of a group
#   . scripts/deps.sh              only define the functions:
#                                  deps_list, deps_missing, deps_need GROUP...
#
# Says nothing when nothing is missing. Installs when root, unless DEPS_INSTALL is "no";
# otherwise names the packages and the command, and fails.

# Debian 13 has these no more; its programs run there.
deps_bookworm='cloop-utils'
deps_groups='tools tests modules roots convert unit lint pictures site patch fuzz guest-plain guest vm-plain
	vm vm-arm64 vm-systemd vm-debug demo bench deb repo packaging live fleet'

# deps_list GROUP...: the packages of the groups, one a line
deps_list() {
	local group
	for group in "$@"; do
		case $group in
		tools)
			printf '%s\n' build-essential zlib1g-dev
			deps_of_build ;;
		tests)
			printf '%s\n' libgtest-dev libgmock-dev ;;
		modules) # headers and kernels are downloaded: scripts/kernels
			printf '%s\n' build-essential debian-archive-keyring \
				kmod pahole xz-utils zstd ;;
		roots)
			printf '%s\n' mmdebstrap ;;
		convert)
			printf '%s\n' busybox-static dosfstools e2fsprogs grub-common \
				grub-pc-bin isolinux mtools squashfs-tools syslinux-common \
				xorriso ;;
		unit)
			deps_list convert
			printf '%s\n' bindfs busybox-static cloop-utils dash \
				e2fsprogs uml-utilities \
				user-mode-linux nbdkit nbd-client libnbd-bin \
				dpkg-dev openssl python3-libnbd qemu-utils fuse3 unifdef zsh ;;
		lint)
			printf '%s\n' clang-format clang-tidy clang \
				shellcheck sparse linux-source-6.12 ;;
		pictures)
			printf '%s\n' graphviz libnbd-bin nbdkit python3 ;;
		site)
			printf '%s\n' mandoc mkdocs-material python3 ;;
		patch)
			printf '%s\n' git unifdef ;;
		fuzz)
			printf '%s\n' clang libclang-rt-dev llvm ;;
		guest-plain) # what every system has
			printf '%s\n' kmod busybox-static bash dash coreutils \
				mount util-linux util-linux-extra fdisk e2fsprogs \
				procps udev diffutils findutils grep sed tar gzip \
				xz-utils zstd ;;
		guest)
			deps_list guest-plain
			printf '%s\n' dmsetup xfsprogs btrfs-progs dosfstools \
				genisoimage squashfs-tools erofs-utils fio \
				bonnie++ uml-utilities cloop-utils lz4 \
				nbdkit nbd-client libnbd-bin fuse3 ;;
		vm-plain)
			deps_list guest-plain
			printf '%s\n' qemu-system-x86 seabios cpio ;;
		vm)
			deps_list vm-plain modules guest ;;
		vm-arm64) # its programs are those of another Debian: scripts/guest-root
			deps_list guest-plain modules roots
			printf '%s\n' qemu-system-arm cpio binutils ;;
		vm-systemd)
			printf '%s\n' systemd dbus libpam-systemd libpam-runtime \
				login ;;
		vm-debug)
			printf '%s\n' build-essential linux-source-6.12 bc \
				bison flex kmod libelf-dev xz-utils ;;
		deb)
			printf '%s\n' debhelper dh-dkms dpkg-dev ;;
		packaging)
			printf '%s\n' rpm xz-utils ;;
		repo)
			printf '%s\n' gpg gpg-agent reprepro ;;
		live)
			printf '%s\n' mmdebstrap e2fsprogs dosfstools fdisk \
				mtools xorriso grub-common grub-pc-bin \
				qemu-system-x86 ovmf \
				seabios dpkg-dev squashfs-tools openssl \
				cryptsetup-bin nbdkit libnbd-bin ;;
		fleet)
			printf '%s\n' iproute2 libnbd-bin nbdkit python3-libnbd qemu-block-extra \
				qemu-utils squashfs-tools squashfuse ;;
		demo)
			printf '%s\n' mmdebstrap e2fsprogs ;;
		bench)
			printf '%s\n' squashfs-tools erofs-utils fio \
				bonnie++ dmsetup e2fsprogs cloop-utils \
				uml-utilities user-mode-linux qemu-utils \
				curl nbdkit libnbd-bin python3-libnbd linux-source-6.12 ;;
		*)
			echo "deps: no group '$group', there are: $deps_groups" >&2
			return 2 ;;
		esac
	done | sort -u
	# the group's own status, not sort's
	return "${PIPESTATUS[0]}"
}

# deps_of_build: what the Debian packages are built with, but for debhelper's programs
deps_of_build() {
	awk '/^[^ ]/ { on = /^Build-Depends(-Arch)?:/ }
		on && /^ / && !/<!nocheck>/ && !/^ debhelper/ { sub(/,/, ""); print $1 }' \
		"$(dirname "${BASH_SOURCE[0]}")/../debian/control"
}

# deps_missing GROUP...: those of the packages that are not installed
deps_missing() {
	local list have package
	list=$(deps_list "$@") || return
	# dpkg-query fails where it does not know a package: that is an answer
	# shellcheck disable=SC2016,SC2086  # dpkg's own variables; a list of words
	have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $list \
		2>/dev/null | sed -n 's/^ii *//p') || :
	for package in $list; do
		grep -qxF -- "$package" <<<"$have" || echo "$package"
	done
}

# deps_need GROUP...: make sure that all packages of the groups are installed
deps_need() {
	local missing package
	missing=$(deps_missing "$@") || return
	[ -n "$missing" ] || return 0
	# shellcheck disable=SC2086  # a list of words
	set -- $missing
	if [ "$(id -u)" != 0 ] || [ "${DEPS_INSTALL-}" = no ]; then
		echo "deps: missing packages; as root:" >&2
		echo "	apt-get install --no-install-recommends $*" >&2
		for package; do
			! deps_is_gone "$package" ||
				echo "	# $package: of Debian 12, this one has it no more" >&2
		done
		return 1
	fi
	echo "deps: installing $*" >&2
	deps_install "$@" && return
	# perhaps the package lists are only too old
	apt-get update -qq >&2 && deps_install "$@" && return
	echo "deps: these packages could not be installed: $*" >&2
	echo "deps: apt says why above; is there a network, a mirror in apt's sources," \
		"and space on the disk?" >&2
	return 1
}

deps_install() {
	# On standard error, so that a caller's output stays its own. The lock
	# may be held by another apt.
	local package words=()
	for package; do
		if deps_is_gone "$package"; then
			package=$(deps_of_bookworm "$package") || return
		fi
		words+=("$package")
	done
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		--no-install-recommends -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Use-Pty=0 "${words[@]}" >&2
}

# deps_is_gone PACKAGE: this Debian has it no more
deps_is_gone() {
	[[ " $deps_bookworm " = *" $1 "* ]] &&
		! apt-cache show --no-all-versions "$1" >/dev/null 2>&1
}

# deps_of_bookworm PACKAGE: downloads it; prints the file
deps_of_bookworm() {
	local top dir
	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	dir=$top/build/cache/packages
	# shellcheck source=scripts/lib/archive.sh
	. "$top/scripts/lib/archive.sh"
	if ! compgen -G "$dir/$1_*.deb" >/dev/null; then
		mkdir -p "$dir"
		archive_need bookworm && archive_download bookworm "$dir" "$1" || return
	fi
	echo "$dir/$1"_*.deb
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -eu
	case ${1-} in
	'' | -h | --help)
		echo "usage: $0 [--list] GROUP...   groups: $deps_groups" >&2
		exit 2 ;;
	--list)
		shift
		deps_list "$@" ;;
	*)
		deps_need "$@" ;;
	esac
fi
