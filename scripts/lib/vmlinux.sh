# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0

# unpack_vmlinux VMLINUZ VMLINUX: decompress the kernel's payload (zstd or xz,
# wherever their magic numbers lead to an ELF file); without success leave none
unpack_vmlinux() {
	local offset tool
	while IFS=: read -r offset tool; do
		tail -c "+$((offset + 1))" "$1" | $tool -dc >"$2" 2>/dev/null || :
		if [ "$(head -c 4 "$2" | tail -c 3)" = ELF ]; then
			return
		fi
	done < <(
		magic "$1" '\x28\xb5\x2f\xfd' zstd
		magic "$1" '\xfd7zXZ\x00' xz
	)
	rm -f "$2"
}

# magic FILE PATTERN TOOL: lines OFFSET:TOOL of the places of PATTERN
magic() {
	{ LC_ALL=C grep -abo -P "$2" "$1" || :; } | cut -d: -f1 | sed "s/$/:$3/"
}
