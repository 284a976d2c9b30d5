# shellcheck shell=bash disable=SC2154  # top, which the caller sets
# SPDX-License-Identifier: GPL-2.0
#
# Kernels that are built here: a tinyconfig with what fragments add.

# linux_make SOURCE OUT ARGUMENT...: all that it says is in OUT.log
linux_make() {
	local source=$1 out=$2 cc=gcc
	shift 2
	! command -v ccache >/dev/null || cc='ccache gcc'
	make -s -C "$source" O="$out" CC="$cc" \
		KBUILD_BUILD_USER=cloopw KBUILD_BUILD_HOST=vm \
		LOCALVERSION= "$@" </dev/null >>"$out.log" 2>&1 || {
		tail -n 30 "$out.log" >&2
		echo "linux: make $* has failed, see $out.log" >&2
		return 1
	}
}

# linux_small_config: the fragment of a kernel that is built soon. Newer kernels lack
# these options of 6.12, or have them always; the driver selects what it needs.
linux_small_config() {
	sed -e '/^# ---- what it is for/,$d' \
		-e '/^CONFIG_\(LIBCRC32C\|CRYPTO_CRC32C_INTEL\|PROC_SYSCTL\)=/d' \
		"$top/tests/vm/debug.config"
	cat "$top/tests/vm/small.config"
}

# linux_not_taken CONFIG FRAGMENT...: lines of the fragments that it does not have.
# The last line of an option counts.
linux_not_taken() {
	local config=$1 line
	shift
	tac "$@" | awk -F= '/^CONFIG_/ && !had[$1]++' | while IFS= read -r line; do
		case $line in
		CONFIG_*=n)
			! grep -q "^${line%%=*}=" "$config" || echo "$line" ;;
		CONFIG_*)
			grep -qxF -- "$line" "$config" || echo "$line" ;;
		esac
	done
}

# linux_configure SOURCE OUT FRAGMENT...
linux_configure() {
	local source=$1 out=$2 missing
	shift 2
	mkdir -p "$out"
	linux_make "$source" "$out" tinyconfig || return
	cat "$@" >>"$out/.config"
	linux_make "$source" "$out" olddefconfig || return
	missing=$(linux_not_taken "$out/.config" "$@")
	[ ! "$missing" ] || {
		echo "linux: the kernel does not take:" "$missing" >&2
		return 1
	}
}
