# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# Run by tests/initramfs/fuzz, in a directory with lines and media.

for part in "$1"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done

# number NAME VALUE
number() {
	case $2 in
	'' | *[!0-9]* | 0?*) echo "not ok $n: $1 is '$2'" ;;
	esac
}

# plain NAME FILE: a file, or nothing yet
plain() {
	if [ -h "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
		echo "not ok $n: $1 is no file: '$2'"
	fi
}

# of_medium NAME FILE: empty, or a file of this medium's
of_medium() {
	[ "$2" ] || return 0
	case $2 in
	"$cw_cow_file" | "$cw_cow_file".[1-9]*) ;;
	*) echo "not ok $n: $1 is '$2'" ;;
	esac
	plain "$1" "$2"
	case ${2#"$cw_cow_file"} in
	*[!.0-9]* | .??????*) echo "not ok $n: $1 is '$2'" ;;
	esac
}

# layers ROLLBACK SNAPSHOT RO
layers() {
	cw_rollback=$1 cw_snapshot=$2 cw_ro=$3
	if cw_choose_layers 2>/dev/null; then
		of_medium top "$cw_top"
		of_medium below "$cw_below"
	fi
}

n=0
while [ -e "lines/$n" ]; do
	cw_parse "$(cat "lines/$n")"
	number cloopw.wait "$cw_wait"
	[ ! "$cw_rollback" ] || number cloopw.rollback "$cw_rollback"
	case $cw_errors,$cw_image_path/,$cw_cow_path/,$cw_cache_path/ in
	,*/../*) echo "not ok $n: a path leaves the medium" ;;
	esac
	case $cw_errors,$cw_cache_size in
	,*[!0-9KMGT]*) echo "not ok $n: the cache's size is '$cw_cache_size'" ;;
	esac
	! cw_is_plain "$PWD/media/$n" /cache || plain cache "$PWD/media/$n/cache"
	cw_cow_dir=$PWD/media/$n cw_cow_path=/changes
	cw_cow_file=$cw_cow_dir/changes
	layers "${cw_rollback:-0}" "$cw_snapshot" "$cw_ro"
	layers 0 '' ''
	layers 0 y ''
	layers 1 '' ''
	layers 1 '' y
	cw_can_write "$cw_cow_dir" || echo "not ok $n: cannot be written"
	cw_unescape "$(cat "lines/$n")"
	n=$((n + 1))
done
echo 'all seen'
