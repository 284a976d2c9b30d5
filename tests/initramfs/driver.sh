# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: GPL-2.0
#
# Which driver the root is on: the module, or ublk where the kernel refuses the module;
# and how an image at a URL is attached.
# Run by tests/initramfs/run in an empty directory.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"
for part in "$1"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done
cw_dir=$PWD
cw_say() { said=$*; }
cw_loud() { said=$*; }

# modprobe NAME: the kernel takes the modules of $takes
modprobe() {
	tried="$tried $1"
	case " $takes " in
	*" $1 "*) return 0 ;;
	esac
	echo "modprobe: ERROR: Key was rejected by service" >&2
	return 1
}
cw_load_module() {
	modprobe cloopw 2>"$cw_dir/modprobe.log" || {
		cw_reason="the module cloopw cannot be loaded"
		return 1
	}
}

# choose PARAMETER TAKES: with the modules that the kernel takes
choose() {
	takes=$2 tried='' said='' cw_reason='' cw_way=''
	cw_parse "root=cloopw cloopw.image=LABEL=a:/b $1"
	cw_choose_driver
}

yes_ 'both' choose '' 'cloopw ublk_drv'
is 'the module comes first' "$cw_way,$tried" '--driver, cloopw'
yes_ 'ublk alone' choose '' ublk_drv
is 'ublk where the module is refused' "$cw_way" --userspace=ublk
is 'the reason is said' "$said" 'going on with ublk: the module cloopw cannot be loaded'
is 'it is none any more' "$cw_reason" ''
no_ 'neither' choose '' ''
reason 'neither' 'the module cloopw cannot be loaded; and the module ublk_drv cannot be loaded'
yes_ 'ublk was asked for' choose cloopw.driver=ublk 'cloopw ublk_drv'
is 'the module is not tried then' "$cw_way,$tried,$said" '--userspace=ublk, ublk_drv,'
no_ 'the module was asked for' choose cloopw.driver=module ublk_drv
reason 'the module was asked for' 'the module cloopw cannot be loaded'
is 'ublk is not tried then' "$tried" ' cloopw'

# ---- an image at a URL ----

url=http://server/root.cloopw
# The options that the attach gets.
cloopwsetup() { echo "$*"; }
options() {
	cw_parse "root=cloopw cloopw.image=$url $1"
	cw_way=--userspace=ublk cw_image=$cw_image_url cw_cache=$2
	cw_setup
}
is 'the options for a URL' "$(options '' '')" \
	"--userspace=ublk --cache 16M --net-timeout 0 $cw_device $url"
is 'the options with a cache' "$(options cloopw.netcache=LABEL=D:/c,size=4G ./cache/c)" \
	"--userspace=ublk --cache 16M --net-cache ./cache/c,size=4G --net-timeout 0 $cw_device $url"
is 'the options with a record' "$(options cloopw.record '')" \
	"--userspace=ublk --cache 16M --recording --net-timeout 0 $cw_device $url"

# A cache that cannot be is said, and the boot goes on.
cw_loud() { loud=$*; }
cw_parse "root=cloopw cloopw.image=$url cloopw.netcache=LABEL=D:/c"
cw_wait_for() { return 1; }
cw_list_devices() { echo /dev/sda; }
yes_ 'no medium for the cache' cw_open_cache
is 'there is no cache' "$cw_cache,$cw_reason" ,
is 'the console says so' "$loud" "GOING ON WITHOUT THE CACHE cloopw.netcache=LABEL=D:/c: \
LABEL=D is not there. There are: /dev/sda"

# ---- growth ----

# It grows to 4G at most; what it was called with goes to tried.
cw_loud() { said=$*; }
cloopwsetup() {
	tried="$tried $1 ${4%%=*}"
	case $* in
	*--resize=8G*)
		echo 'cloopwsetup: no space' >&2
		return 1 ;;
	esac
}
# grow PARAMETERS: attaches with them
grow() {
	tried='' said='' cw_reason='' cw_way=--driver cw_image=image
	cw_parse "root=cloopw cloopw.image=LABEL=a:/b $1"
	cw_setup -c cow
}
yes_ 'it grows' grow cloopw.grow=4G
is 'with the size' "$tried,$said" ' --driver --resize,'
yes_ 'it cannot grow' grow cloopw.grow=8G
is 'it goes on without' "$tried" ' --driver --resize --driver -c'
is 'and says why' "$said" 'cloopw.grow=8G: THE ROOT KEEPS ITS SIZE: no space'
yes_ 'what is not written does not grow' grow 'cloopw.grow=4G cloopw.ro'
is 'without the size' "$tried" ' --driver -c'
exit "$status"
