# shellcheck shell=bash disable=SC2154  # top, which the caller sets
# SPDX-License-Identifier: GPL-2.0
#
# Packages of any suite of Debian, without the machine's own apt being touched:
# each suite has lists and settings of its own in build/cache/apt/SUITE. The
# machine's proxies hold, and so does its mirror of Debian. SUITE:ARCH is the suite
# for other machines than this.

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

archive_mirror() {
	local mirror
	# shellcheck disable=SC2016  # apt's own
	mirror=$(apt-get indextargets --format '$(SITE)' \
		'Origin: Debian' 'Created-By: Packages' 2>/dev/null |
		grep -v -- '-security$\|security\.debian\.org' | head -n 1) || :
	echo "${mirror:-http://deb.debian.org/debian}"
}

# archive_here: the machine's own suite
archive_here() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# archive_sources SUITE: lines for sources.list
archive_sources() {
	local mirror line
	set -- "${1%:*}"
	mirror=$(archive_mirror)
	line="deb [signed-by=$archive_keyring] $mirror"
	echo "$line $1 main"
	case $1 in
	sid | unstable | *-backports) ;;
	*)
		echo "$line $1-updates main"
		echo "$line-security $1-security main" ;;
	esac
}

# archive_apt SUITE COMMAND...: apt-get, apt-cache... as on a machine of that suite
archive_apt() {
	local dir=$top/build/cache/apt/$1 command=$2 other=()
	case $1 in *:*)
		other=(-o "APT::Architecture=${1#*:}" -o "APT::Architectures=${1#*:}") ;;
	esac
	shift 2
	[ -d "$dir/lists/partial" ] ||
		mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/etc"
	[ -f "$dir/status" ] || : >"$dir/status"
	"$command" -qq "${other[@]}" -o APT::Sandbox::User=root \
		-o Dir::Etc::SourceList="$dir/sources.list" \
		-o Dir::Etc::SourceParts="$dir/etc" \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts="$dir/etc" \
		-o Dir::State::Lists="$dir/lists" \
		-o Dir::State::status="$dir/status" \
		-o Dir::Cache="$dir" -o Dir::Cache::Archives="$dir/archives" "$@"
}

# archive_update SUITE: the archive's lists of now
archive_update() {
	local dir=$top/build/cache/apt/$1
	mkdir -p "$dir"
	archive_sources "$1" >"$dir/sources.list"
	echo "archive: the lists of packages of Debian $1" >&2
	archive_apt "$1" apt-get update --error-on=any >&2 || {
		echo "archive: Debian's archive cannot be read: is there a network," \
			"and a mirror in this machine's apt sources?" >&2
		return 1
	}
	: >"$dir/updated"
}

archive_need() {
	[ -f "$top/build/cache/apt/$1/updated" ] || archive_update "$1"
}

# archive_names SUITE REGEX: packages, one a line, the newest last
archive_names() {
	archive_need "$1" || return
	archive_apt "$1" apt-cache search --names-only "$2" | cut -d ' ' -f 1 |
		sort -V
}

archive_version() {
	archive_apt "$1" apt-cache show --no-all-versions "$2" 2>/dev/null |
		sed -n 's/^Version: //p'
}

# archive_depends SUITE PACKAGE=VERSION: names, one a line
archive_depends() {
	archive_apt "$1" apt-cache show "$2" 2>/dev/null |
		sed -n 's/^Depends: //p' | tr ',' '\n' |
		sed 's/^ *//; s/[ (|].*//'
}

# archive_unpack SUITE DIR PACKAGE[=VERSION]...: downloads and unpacks
archive_unpack() {
	local suite=$1 dir=$2 deb
	shift 2
	mkdir -p "$dir/.deb"
	archive_download "$suite" "$dir/.deb" "$@" || {
		# perhaps the lists are only too old
		archive_update "$suite" &&
			archive_download "$suite" "$dir/.deb" "$@" || return
	}
	for deb in "$dir"/.deb/*.deb; do
		dpkg-deb -x "$deb" "$dir" || return
	done
	rm -rf "$dir/.deb"
}

archive_download() (
	cd "$2" || exit
	suite=$1
	shift 2
	archive_apt "$suite" apt-get download "$@" >&2
)
