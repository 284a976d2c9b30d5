# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What mkbase and run share: filling a directory that becomes a cpio archive.

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# add_file ROOT PATH [AS]: a file, with the shared libraries it needs, into the
# tree ROOT under its own path or AS; links become what they point to
add_file() {
	local lib as=${3-$2}
	[ -e "$1$as" ] || install -D "$2" "$1$as"
	# ldd says so and fails where the file is a script or static
	{ ldd "$2" 2>/dev/null || :; } | { grep -o '/[^ ]*' || :; } |
		while read -r lib; do
			[ -e "$1$lib" ] || install -D "$lib" "$1$lib"
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

# pack ROOT ARCHIVE
pack() {
	(cd "$1" && find . -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) >"$2"
}
