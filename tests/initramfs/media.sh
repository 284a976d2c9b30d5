# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: GPL-2.0
#
# Media in the hands of the initramfs: run by tests/initramfs/run in an empty
# directory. Functions stand in for the programs. mount behaves as the kernel's
# FAT: an option that comes with a remount changes no permissions.

for part in "$1"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done
# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"

# ---- the world ----

here=$PWD
cw_dir=$here/run cw_mounts_file=$here/mounts
mkdir run disks
: >mounts

# disk NAME TYPE: a device, its directory is what is on it
disk() {
	mkdir -p "disks/$1"
	echo "$2" >"disks/$1.type"
}

# The behaviour of each program; a test changes it by fake_*.
fake_refuses=nothing fake_drops=nothing fake_umask=heeded
cw_wait_for() { [ -e "$here/disks/${1##*/}.type" ] && echo "$1"; }
cw_fstype_of() { cat "$here/disks/${1##*/}.type"; }
cw_list_devices() { echo /dev/sda; }
cw_say() { told=$*; }
cw_shell() { said=$*; at_shell; }
cw_loud() { loud=$*; }
modprobe() { :; }
sleep() { :; }
cloopwsetup() { attached=$*; }
cw_way=--driver

mount() {
	# -t TYPE -o OPTIONS NODE DIR, or -o remount,OPTIONS NODE DIR
	[ "$1" != -t ] || shift 2
	case ,$2, in
	*,"$fake_refuses",*)
		echo "mount: bad option; dmesg has more" >&2
		return 32 ;;
	esac
	fake_options=$(echo "$2" | sed "s/\(^\|,\)$fake_drops//; s/,umask=077//")
	case $2 in
	remount,*)
		umount_line "$4"
		fake_options=${fake_options#remount,} ;;
	*)
		rmdir "$4"
		mv "disks/${3##*/}" "$4"
		case $(cat "disks/${3##*/}.type"),$2,$fake_umask in
		vfat,*umask=077*,heeded) chmod 700 "$4" ;;
		*) chmod 755 "$4" ;;
		esac ;;
	esac
	echo "$3 $4 fake $fake_options 0 0" >>mounts
}

umount_line() {
	grep -v " $1 " mounts >mounts.new || :
	mv mounts.new mounts
}

umount() {
	cw_find_mount "$1" || return
	mv "$1" "disks/${cw_mounted_node##*/}"
	mkdir "$1"
	umount_line "$1"
}

# fresh PARAMETERS: the beginning of a boot
fresh() {
	for dir in "$cw_dir/medium" "$cw_dir/persistent" "$cw_dir/cache"; do
		! cw_is_mounted "$dir" || umount "$dir"
	done
	rm -rf disks run mounts
	mkdir disks run
	: >mounts
	said='' loud='' attached='' cw_image='' cw_reason=''
	fake_refuses=nothing fake_drops=nothing fake_umask=heeded
	cw_parse "root=cloopw $*"
	is "parameters: $*" "$cw_errors" ''
}

options_of() {
	cw_find_mount "$1" && echo "$cw_mounted_options"
}

image=cloopw.image=/dev/sda1:/live/root

# stick: FAT, with an image and a COW
stick() {
	disk sda1 vfat
	mkdir -p disks/sda1/live
	: >disks/sda1/live/root
	echo cow >disks/sda1/changes
}

# ---- nobody but root reads the COW ----

fresh $image cloopw.cow=/dev/sda1:/changes
stick
yes_ 'image on FAT' cw_find_image
is 'FAT is root'\''s at once' "$(stat -c %a "$cw_dir/medium")" 700
yes_ 'COW on the same stick' cw_attach_persistent
is 'FAT is root'\''s when it is writable' "$(stat -c %a "$cw_dir/medium")" 700
case ,$(options_of "$cw_dir/medium"), in
*,rw,*nosuid,nodev*) ;;
*) no 'a remount keeps nosuid, nodev' "$(options_of "$cw_dir/medium")" ;;
esac
is 'the COW is private' "$(stat -c %a "$cw_dir/medium/changes")" 600

fresh $image cloopw.cow=/dev/sdb1:/changes
stick
disk sdb1 ext4
echo cow >disks/sdb1/changes
chmod 644 disks/sdb1/changes
yes_ 'image' cw_find_image
yes_ 'COW on another disk' cw_attach_persistent
is 'a COW that others could read' "$(stat -c %a "$cw_dir/persistent/changes")" 600

# ---- promises of a mount ----

for option in nosuid nodev; do
	fresh $image
	stick
	fake_drops=$option
	no_ "without $option" cw_find_image
	reason "without $option" "was mounted without '$option'"
	no_ "without $option: unmounted" cw_is_mounted "$cw_dir/medium"
done

fresh $image
stick
fake_umask=ignored
no_ 'a umask without effect' cw_find_image
reason 'a umask without effect' "was mounted without 'umask=077'; if it is mounted elsewhere"

fresh $image cloopw.cow=/dev/sda1:/changes
stick
yes_ 'image' cw_find_image
fake_drops=rw
no_ 'a remount that is none' cw_attach_persistent
reason 'a remount that is none' 'cannot be made writable'

fresh $image
stick
fake_refuses=nosymfollow
yes_ 'a mount that knows no nosymfollow' cw_find_image
is 'without it' "$(options_of "$cw_dir/medium")" ro,nosuid,nodev
fresh $image
stick
yes_ 'a mount that knows nosymfollow' cw_find_image
is 'with it' "$(options_of "$cw_dir/medium")" ro,nosuid,nodev,nosymfollow

# ---- names on a medium stay on it ----

fresh $image
stick
ln -s /etc disks/sda1/etc
rm disks/sda1/live/root
ln -s /etc/passwd disks/sda1/live/root
no_ 'an image that is a link' cw_find_image
reason 'an image that is a link' '/live/root is a symbolic link'
fresh cloopw.image=/dev/sda1:/etc/passwd
stick
ln -s /etc disks/sda1/etc
no_ 'an image below a link' cw_find_image
reason 'an image below a link' '/etc is a symbolic link'
fresh $image
stick
rm disks/sda1/live/root
mkfifo disks/sda1/live/root
no_ 'an image that is a FIFO' cw_find_image
reason 'an image that is a FIFO' '/live/root is no file'

for kind in link dangling fifo directory; do
	fresh $image cloopw.cow=/dev/sda1:/changes
	stick
	: >disks/victim
	rm disks/sda1/changes
	case $kind in
	link) ln -s "$here/disks/victim" disks/sda1/changes ;;
	dangling) ln -s "$here/disks/new" disks/sda1/changes ;;
	fifo) mkfifo disks/sda1/changes ;;
	directory) mkdir disks/sda1/changes ;;
	esac
	yes_ 'image' cw_find_image
	no_ "a COW that is a $kind" cw_attach_persistent
	is "a COW that is a $kind: nothing attached" "$attached" ''
	no_ "a COW that is a $kind: nothing made" test -e disks/new

	fresh $image cloopw.cow=/dev/sda1:/changes
	stick
	: >disks/victim
	case $kind in
	link | dangling) ln -s "$here/disks/victim" disks/sda1/changes.1 ;;
	fifo) mkfifo disks/sda1/changes.1 ;;
	directory) mkdir disks/sda1/changes.1 ;;
	esac
	yes_ 'image' cw_find_image
	no_ "a layer that is a $kind" cw_attach_persistent
	is "a layer that is a $kind: nothing attached" "$attached" ''
done

fresh $image cloopw.cow=/dev/sda1:/a/changes
stick
ln -s / disks/sda1/a
yes_ 'image' cw_find_image
no_ 'a COW below a link' cw_attach_persistent
reason 'a COW below a link' '/a is a symbolic link'

# each stays as it is, and none is waited for
for kind in fifo link; do
	fresh $image cloopw.cow=/dev/sda1:/changes
	stick
	: >disks/victim
	echo kept >disks/victim
	case $kind in
	link) ln -s "$here/disks/victim" disks/sda1/.cloopw-test ;;
	fifo) mkfifo disks/sda1/.cloopw-test ;;
	esac
	yes_ 'image' cw_find_image
	yes_ "a test file that is a $kind" cw_attach_persistent
	is "a test file that is a $kind" "$(cat disks/victim)" kept
done

# ---- a cache of an image at a URL ----

cw_network() { :; }
cache='cloopw.image=http://server/root cloopw.netcache=/dev/sda1:/kept/cache'
fresh "$cache,size=4G"
stick
yes_ 'a cache' cw_find_image
is 'a cache' "$cw_cache" "$cw_dir/cache/kept/cache"
is 'FAT with a cache is root'\''s' "$(stat -c %a "$cw_dir/cache")" 700
yes_ 'its directory is made' test -d "$cw_dir/cache/kept"
case ,$(options_of "$cw_dir/cache"), in
*,rw,nosuid,nodev,*) ;;
*) no 'its medium brings no rights' "$(options_of "$cw_dir/cache")" ;;
esac

# without_cache NAME TEXT: the boot goes on, and says why
without_cache() {
	yes_ "$1" cw_find_image
	is "$1" "$cw_cache" ''
	case $loud in
	'GOING ON WITHOUT THE CACHE'*"$2"*) ;;
	*) no "$1" "'$loud' says nothing of '$2'" ;;
	esac
}
for kind in link dangling fifo directory; do
	fresh "$cache"
	stick
	mkdir disks/sda1/kept
	case $kind in
	link) ln -s "$here/disks/sda1/changes" disks/sda1/kept/cache ;;
	dangling) ln -s "$here/disks/new" disks/sda1/kept/cache ;;
	fifo) mkfifo disks/sda1/kept/cache ;;
	directory) mkdir disks/sda1/kept/cache ;;
	esac
	case $kind in
	link | dangling) without_cache "a cache that is a $kind" 'is a symbolic link' ;;
	*) without_cache "a cache that is a $kind" 'is no file' ;;
	esac
	no_ "a cache that is a $kind: nothing made" test -e disks/new
done
fresh "$cache"
stick
mkdir disks/elsewhere
ln -s "$here/disks/elsewhere" disks/sda1/kept
without_cache 'a cache below a link' '/kept is a symbolic link'
fresh "$cache"
stick
: >disks/sda1/kept
without_cache 'a cache below a file' 'cannot be written' 2>/dev/null
fresh "$cache"
without_cache 'a cache without its medium' '/dev/sda1 is not there'

# ---- layers that a power cut left ----

# all that is attached, in order; fake_broken is refused
cloopwsetup() {
	attached="$attached$(echo " $*" | sed "s,$here/run/[a-z]*/,,g");"
	case $* in
	*-c*"$fake_broken"*) return 1 ;;
	*'/changes.2 '*) : >>"$cw_dir/medium/changes.2" ;;
	esac
}

for broken in nothing changes.1; do
	fresh $image cloopw.cow=/dev/sda1:/changes cloopw.rollback=1
	stick
	: >disks/sda1/changes.1
	fake_broken=$broken
	yes_ 'image' cw_find_image
	[ $broken != nothing ] || yes_ 'going back' cw_attach_persistent
	[ $broken = nothing ] || {
		fake_broken='changes.1 /dev'
		yes_ 'going back from what is damaged' cw_attach_persistent
	}
	case $attached in
	*'-c changes.1 /dev/cloopw0 live/root;'*'-c changes.2 -c changes /dev/cloopw0 live/root;') ;;
	*) no 'the last layer is attached before going back' "$attached" ;;
	esac
done
fake_broken=nothing
for word in cloopw.snapshot 'cloopw.ro cloopw.rollback=1' cloopw.rollback=0; do
	fresh $image cloopw.cow=/dev/sda1:/changes "$word"
	stick
	: >disks/sda1/changes.1
	yes_ 'image' cw_find_image
	yes_ "$word" cw_attach_persistent
	case $attached in
	*\;*\;*) no "$word: attached once" "$attached" ;;
	esac
done
cloopwsetup() { attached=$*; }
cw_way=--driver

# ---- a superblock that a power cut destroyed ----

# broken: refused until it is repaired; its repair has this exit code
cloopwsetup() {
	attached="$attached x"
	[ -e repaired ]
}
cloopwck() {
	checked=$*
	[ $((repair & 1)) = 0 ] || : >repaired
	return "$repair"
}
for repair in 1 5 4 8 0; do
	fresh $image cloopw.cow=/dev/sda1:/changes
	stick
	: >disks/sda1/changes
	rm -f repaired
	attached='' checked=''
	yes_ 'image' cw_find_image
	case $repair in
	1 | 5)
		yes_ "repaired with $repair" cw_attach_persistent
		is "attached twice with $repair" "$attached" ' x x' ;;
	*)
		no_ "left as it is with $repair" cw_attach_persistent
		is "attached once with $repair" "$attached" ' x' ;;
	esac
	is 'what is repaired' "$checked" "--quick --yes $cw_top"
done
fresh $image cloopw.cow=/dev/sda1:/changes cloopw.ro
stick
: >disks/sda1/changes
rm -f repaired
repair=1 checked=''
yes_ 'image' cw_find_image
no_ 'nothing is repaired that is only read' cw_attach_persistent
is 'nothing is repaired that is only read' "$checked" ''
cloopwsetup() { attached=$*; }
cw_way=--driver

# ---- nothing is written ----

fresh $image cloopw.cow=/dev/sdb1:/changes cloopw.ro
stick
disk sdb1 ext4
echo cow >disks/sdb1/changes
yes_ 'image' cw_find_image
yes_ 'a COW that is only read' cw_attach_persistent
is 'no journal is replayed' "$(options_of "$cw_dir/persistent")" \
	ro,nosuid,nodev,noload,nosymfollow
is 'read-only' "$(cw_mount_options xfs ro)" ro,nosuid,nodev,norecovery
is 'read-only' "$(cw_mount_options btrfs ro)" ro,nosuid,nodev,rescue=nologreplay
is 'read-only' "$(cw_mount_options f2fs ro)" ro,nosuid,nodev,norecovery
is 'read-only' "$(cw_mount_options nilfs2 ro)" ro,nosuid,nodev,norecovery
is 'read-only' "$(cw_mount_options bcachefs ro)" ro,nosuid,nodev,nochanges
cw_ro=''
is 'a medium that will be written' "$(cw_mount_options ext4 ro)" ro,nosuid,nodev

# as cloopwsetup -r says it of a blank device
cloopwsetup() {
	case $* in
	*' -c '*)
		echo "cloopwsetup: $fake_said; with -r no COW file is made: leave -r away" >&2
		return 1 ;;
	esac
	attached=$*
}
fake_said='/dev/sdb1: cannot open: No such file or directory'
for word in cloopw.ro ''; do
	fresh $image cloopw.cow=/dev/sdb1 $word
	stick
	disk sdb1 ''
	yes_ 'image' cw_find_image
	told=''
	if [ "$word" ]; then
		yes_ 'a blank device that is only read' cw_attach_persistent
		is 'a blank device that is only read' "$attached" \
			"--driver --cache 16M -r /dev/cloopw0 $cw_image"
		is 'a blank device that is only read: says so' "$told" \
			'/dev/sdb1 holds no changes yet'
	else
		no_ 'a device that is refused' cw_attach_persistent
	fi
done
cloopwsetup() { attached=$*; }

# ---- a shell in between ----

# the user brings the right stick, with the same name
exchange() {
	rm -rf "disks/sda1"
	stick
}

fresh $image
stick
mv disks/sda1/live/root disks/sda1/live/other
at_shell() { exchange; }
cw_retry 'no image' cw_find_image
case $said in
*'there is no file /live/root'*) ;;
*) no 'a stick without the image' "$said" ;;
esac
yes_ 'the right stick' test -f "$cw_image"

fresh $image cloopw.cow=/dev/sdb1:/changes
stick
disk sdb1 ext4
mkfifo disks/sdb1/changes
yes_ 'image' cw_find_image
at_shell() {
	umount "$cw_dir/persistent"
	rm -rf disks/sdb1
	disk sdb1 ext4
	echo right >disks/sdb1/changes
	# the file as a user leaves it
	mount -o rw,nosuid,nodev /dev/sdb1 "$cw_dir/persistent"
}
cw_retry 'cannot attach' cw_attach_writable
is 'the stick that was exchanged' "$(cat "$cw_dir/persistent/changes")" right
is 'the image is found again' "$cw_image" "$cw_dir/medium/live/root"

fresh $image
stick
disk sdc1 ext4
yes_ 'image' cw_find_image
no_ 'another one in its place' cw_mount_or_same /dev/sdc1 "$cw_dir/medium" ro
reason 'another one in its place' '/dev/sda1 is still mounted'

exit $status
