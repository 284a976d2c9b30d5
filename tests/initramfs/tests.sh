# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# SPDX-License-Identifier: GPL-2.0
#
# Parameters and layers: run by tests/initramfs/run in an empty directory.

for part in "$1"/initramfs/lib/*.sh; do
	# shellcheck source=/dev/null
	. "$part"
done

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"

image='cloopw.image=LABEL=LIVE:/live/root.cloopw'

# ---- meanings ----

cw_parse 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet'
is 'another root' "$cw_wanted" ''
cw_parse "cloopw.foo root=LABEL=x $image"
is 'another root: faults are not ours' "$cw_wanted" ''

cw_parse "root=cloopw $image quiet"
is 'root=cloopw' "$cw_wanted" y
is 'no fault' "$cw_errors" ''
is 'device of the image' "$cw_image_device" LABEL=LIVE
is 'file of the image' "$cw_image_path" /live/root.cloopw
is 'COW by default' "$cw_cow,$cw_cow_limit" ram,
is 'stop by default' "$cw_nopersist" stop
is 'wait by default' "$cw_wait" 30
is 'any driver by default' "$cw_driver" auto

cw_parse 'root=/dev/sda1 root=cloopw cloopw.image=/dev/sda2'
is 'the last root counts' "$cw_wanted" y
is 'an image that is a partition' "$cw_image_device,$cw_image_path" /dev/sda2,

cw_parse 'root=cloopw cloopw.image=/dev/disk/by-path/pci-0000:00:1f.2:/a:b/c'
is 'colons in a device' "$cw_image_device" /dev/disk/by-path/pci-0000:00:1f.2
is 'colons in a path' "$cw_image_path" /a:b/c

url=http://server:8080/dir/root.cloopw
cw_parse "root=cloopw cloopw.image=$url"
is 'an image at a URL' "$cw_image_url,$cw_driver,$cw_errors" "$url,ublk,"
cw_parse "root=cloopw cloopw.image=$url $image"
is 'the last image counts' "$cw_image_url,$cw_image_device" ,LABEL=LIVE
cw_parse "root=cloopw cloopw.image=$url cloopw.driver=module"
is 'the module and a URL' "$cw_errors" \
	'cloopw.driver=module reads no URL; leave it away, and ublk does'
cw_parse "root=cloopw cloopw.image=$url cloopw.toram"
is 'RAM and a URL' "$cw_errors" 'cloopw.toram copies no URL; leave it away'
while read -r given plain; do
	cw_parse "root=cloopw cloopw.image=$given"
	is "the plain form of $given" "$cw_image_url" "$plain"
done <<'END'
http://s/boot.ipxe/../root.cloopw http://s/root.cloopw
https://s:8/a/boot.ipxe/../b/c/../root.cloopw https://s:8/a/b/root.cloopw
http://s/a/b/../../c http://s/c
http://s/../c http://s/../c
http://s/a..b/..c http://s/a..b/..c
END
for bad in http:// http://server http://server/ ftp://server/x; do
	cw_parse "root=cloopw cloopw.image=$bad"
	is "no image: $bad" "$cw_image_url" ''
done
cw_parse "root=cloopw cloopw.image=$url cloopw.netcache=LABEL=D:/a/cache,size=4G"
is 'a cache' "$cw_cache_device,$cw_cache_path,$cw_cache_size,$cw_errors" LABEL=D,/a/cache,4G,
cw_parse "root=cloopw cloopw.image=$url cloopw.netcache=/dev/sda1:/c,d"
is 'a cache without a limit' "$cw_cache_path,$cw_cache_size,$cw_errors" /c,d,,
for bad in D:/c LABEL=D LABEL=D:/../c LABEL=D:/; do
	cw_parse "root=cloopw cloopw.image=$url cloopw.netcache=$bad"
	says "no cache: $bad" "cloopw.netcache=$bad: want LABEL=NAME:/FILE"
done
cw_parse "root=cloopw cloopw.image=$url cloopw.netcache=LABEL=D:/c,size=08x"
says 'no size of a cache' "'08x' is no size"
cw_parse "root=cloopw $image cloopw.netcache=LABEL=D:/c"
says 'a cache for a medium' 'cloopw.image is no URL: leave it away'

cw_image_url=$url
is 'an initramfs without a network' "$(cw_find_image || echo "$cw_reason")" \
	"this initramfs brings up no network for $url"

cw_parse "root=cloopw $image cloopw.cow=ram:64M"
is 'RAM with a limit' "$cw_cow,$cw_cow_limit" ram,64M
is 'RAM with a limit: no fault' "$cw_errors" ''
cw_parse "root=cloopw $image cloopw.cow=UUID=12-34:/cow"
is 'COW file' "$cw_cow,$cw_cow_device,$cw_cow_path" file,UUID=12-34,/cow
cw_parse "root=cloopw $image cloopw.cow=/dev/sdb1"
is 'COW partition' "$cw_cow,$cw_cow_device,$cw_cow_path" device,/dev/sdb1,
cw_parse "root=cloopw $image cloopw.cow=PARTLABEL=rw"
is 'COW partition by its label' "$cw_cow,$cw_cow_device" device,PARTLABEL=rw

cw_parse "root=cloopw $image cloopw.toram cloopw.ro cloopw.check rootflags=nouuid
	rootfstype=xfs cloopw.wait=5 cloopw.nopersist=ram cloopw.driver=ublk"
is 'the others' "$cw_toram$cw_ro$cw_check $cw_flags $cw_fstype $cw_wait $cw_nopersist" \
	'yyy nouuid xfs 5 ram'
is 'the driver' "$cw_driver" ublk
cw_parse "root=cloopw $image cloopw.grow=8G"
is 'growth' "$cw_grow,$cw_errors" 8G,
cw_parse "root=cloopw $image cloopw.cow=LABEL=a:/c cloopw.snapshot cloopw.rollback=3"
is 'layers' "$cw_snapshot,$cw_rollback,$cw_errors" y,3,

cw_parse "root=cloopw rd.$image rd.cloopw.cow=LABEL=a:/c rd.cloopw.toram rd.cloopw.wait=7"
is "dracut's names" "$cw_image_path,$cw_cow_path,$cw_toram,$cw_wait,$cw_errors" \
	/live/root.cloopw,/c,y,7,
cw_parse "root=cloopw $image cloopw.toram=1 cloopw.ro=yes cloopw.check=on rd.cloopw.snapshot=0"
is 'truth as a value' "$cw_toram$cw_ro$cw_check,$cw_snapshot,$cw_errors" yyy,,
cw_parse "root=cloopw $image cloopw.toram cloopw.ro cloopw.toram=0 cloopw.ro=off cloopw.check=no"
is 'the last value counts' "$cw_toram$cw_ro$cw_check,$cw_errors" ,
cw_parse "root=cloopw $image cloopw.ro=maybe"
is 'no truth' "$cw_errors" 'cloopw.ro=maybe: want 1 or 0'
cw_parse "boot=cloopw $image"
is 'boot=cloopw' "$cw_wanted,$cw_errors" y,
cw_parse "boot=live root=/dev/sda1 $image"
is 'another boot=' "$cw_wanted" ''

cw_parse "root=cloopw $image cloopw.wait=08 cloopw.cow=LABEL=a:/c cloopw.rollback=010"
is 'numbers are decimal' "$cw_wait,$cw_rollback,$cw_errors" 8,10,
cw_parse 'root=cloopw "cloopw.image=LABEL=MY STICK:/my images/root" quiet'
is 'a quoted word' "$cw_image_device,$cw_image_path,$cw_errors" \
	'LABEL=MY STICK,/my images/root,'
cw_parse 'root=cloopw cloopw.image=LABEL="MY STICK":/root rootflags="a,b c"'
is 'a quoted value' "$cw_image_device,$cw_image_path,$cw_flags,$cw_errors" \
	'LABEL=MY STICK,/root,a,b c,'
cw_parse 'root=cloopw foo="cloopw.ro" "x cloopw.toram" cloopw.image=LABEL=*:/*'
is 'what is quoted is no other word' "$cw_ro$cw_toram" ''
is 'no pattern of files' "$cw_image_device,$cw_image_path" 'LABEL=*,/*'
cw_parse "root=cloopw
	$image	cloopw.ro"
is 'tabs and lines' "$cw_wanted$cw_ro" yy
cw_parse "root=cloopw $image cloopw.cow=LABEL=a:/c foo=\"bar"
is 'a quote that is not closed' "$cw_errors" ''

# ---- refusals ----

cw_parse 'root=cloopw'
says 'no image' 'cloopw.image= is missing'
cw_parse 'root=cloopw cloopw.image=live.cloopw'
says 'image without a device' 'cloopw.image=live.cloopw: want LABEL='
cw_parse 'root=cloopw cloopw.image=LABEL=:/x'
says 'empty label' 'want LABEL='
for word in 'cow=ram:' 'cow=ram:much' 'cow=tmpfs' 'cow=' 'grow=' 'grow=big' 'rollback=' 'rollback=-1' \
	'rollback=1x' 'rollback=99999999999999999999' 'wait=1000000000' \
	'nopersist=yes' 'wait=long' 'driver=' 'driver=nbd' 'snapshots' 'cow=/dev/sda1:/../c' \
	'cow=/dev/sda1:/a/..' 'cow=/dev/sda1:/a/' 'image=/dev/sda1:/' \
	'image=/dev/sda1:/../etc/passwd'; do
	cw_parse "root=cloopw $image cloopw.$word"
	says "$word" "cloopw.$word"
done
cw_parse "root=cloopw $image cloopw.snapshot"
says 'layers in RAM' 'need a COW file'
cw_parse "root=cloopw $image cloopw.cow=/dev/sda1 cloopw.rollback=1"
says 'layers on a partition' 'need a COW file'
cw_parse "root=cloopw $image cloopw.cow=LABEL=a:/c cloopw.snapshot cloopw.ro"
says 'read-only layers' 'only one of them'

# ---- layers ----

# layers PARAMETERS WANT: top, and what is named below it
cw_cow_dir=$PWD cw_cow_file=$PWD/cow
layers() {
	cw_parse "root=cloopw $image cloopw.cow=LABEL=a:/cow $1"
	if cw_choose_layers 2>told; then
		is "layers: $1" "${cw_top##*/},${cw_below##*/}" "$2"
	else
		is "layers: $1" refused "$2"
	fi
}

layers '' cow,
layers cloopw.snapshot cow,
layers 'cloopw.snapshot cloopw.rollback=1' refused
layers cloopw.ro ,
: >cow
layers '' cow,
layers cloopw.ro cow,
layers cloopw.snapshot cow.1,cow
layers cloopw.rollback=1 cow.1,
layers cloopw.rollback=0 cow,
layers cloopw.rollback=2 refused
: >cow.1
: >cow.9
: >cow.10
: >cow.old
# no layers: copies with a date, and what no boot has made
: >cow.20261129
: >cow.2026
: >cow.08
: >cow.011
: >cow.99999999999999999999
: >cow.-1
: >cow.1.5
layers '' cow.10,
layers cloopw.snapshot cow.11,cow.10
layers cloopw.rollback=1 cow.11,cow.9
layers 'cloopw.ro cloopw.rollback=9' cow.1,
layers 'cloopw.snapshot cloopw.rollback=10' cow.11,cow
layers 'cloopw.rollback=01' cow.11,cow.9
is 'a number too far' "$(cat told)" \
	'cloopw: cow.2026 is not taken for a layer, its number is too far from 10'
: >cow.1000
layers '' cow.1000,
: >cow.1999
: >cow.2998
: >cow.3997
: >cow.4996
: >cow.5995
: >cow.6994
: >cow.7993
: >cow.8992
: >cow.9991
: >cow.9999
layers '' cow.9999,
layers cloopw.snapshot refused
reason 'layers: no number is left' 'is the last layer that there may be'

# ---- mounts at the end ----

cw_mounts_file=$PWD/mounts
cat >mounts <<'END'
/dev/cloopw0 /oldroot ext4 rw 0 0
tmpfs /oldroot/run tmpfs rw 0 0
/dev/sda1 /oldroot/media/MY\040STICK vfat rw 0 0
/dev/sda2 /oldroot/media/* vfat rw 0 0
/dev/sda3 /oldroot/media/a\011b\012 vfat rw 0 0
/dev/sda4 /oldroot/media/back\134040 vfat rw 0 0
/dev/sda5 /oldroots vfat rw 0 0
END
umount() {
	printf '%s|' "$1" >>gone
	case $1 in
	*'MY STICK') line=STICK ;;
	*'/*') line='media/[*]' ;;
	*'back\040') line=back ;;
	*/a*) line=011b ;;
	*) line="$1 " ;;
	esac
	grep -v "$line" mounts >mounts.new || :
	mv mounts.new mounts
}
: >gone
yes_ 'all mounts below the root go' cw_unmount_root /oldroot
is 'each by its name, the last first' "$(cat gone)" \
	'/oldroot/media/back\040|/oldroot/media/a	b
|/oldroot/media/*|/oldroot/media/MY STICK|/oldroot/run|/oldroot|'
is 'and no other' "$(cat mounts)" '/dev/sda5 /oldroots vfat rw 0 0'
cw_mounts_file=/proc/self/mounts
unset -f umount

# ---- promises of the root file system ----

# fit BLOCK CLUSTER FREE AVAILABLE LIVE: what is kept back, in clusters
mkdir cow_ ext4_
sed -e "s,^device=.*,device=super," -e "s,^cow=.*,cow=\${COW-cow_}," -e "s,^ext4=.*,ext4=ext4_," \
	-e 's,stat -f -c %f /,cat free,' -e 's,sleep .*,exit,' \
	"$1/initramfs/fit" >fit_
fit() {
	{
		head -c 1048 /dev/zero
		printf '%b' "\\0$1\\0\\0\\0\\0$2\\0\\0\\0"
	} >super
	echo 7 >ext4_/reserved_clusters
	echo 0 >ext4_/delayed_allocation_blocks
	echo "$3" >free
	echo "$4" >cow_/cow_available
	echo "$5" >cow_/cow_live_bytes
	sh fit_
	cat ext4_/reserved_clusters
}
# 100 MiB are free in ext4; the COW has 36 MiB, of which an eighth and 4 MiB are kept
is 'blocks of 4 KiB' "$(fit 2 2 25600 37748736 0)" 18560
is 'blocks of 1 KiB' "$(fit 0 0 102400 37748736 0)" 74240
is 'clusters of 64 KiB' "$(fit 2 6 25600 37748736 0)" 1160
is 'more room than blocks' "$(fit 2 2 256 37748736 0)" 7
# with a server it asks cloopwsetup
mkdir bin_
printf '%s\n' '#!/bin/sh' 'cat answer' >bin_/cloopwsetup
chmod +x bin_/cloopwsetup
export COW=none
PATH=$PWD/bin_:$PATH
echo '0 37748736' >answer
is 'of a server' "$(fit 2 2 25600 '' '')" 18560
echo '0 ' >answer
is 'of a server, without a limit' "$(fit 2 2 25600 '' '')" 7
: >answer
is 'of a server that does not answer' "$(fit 2 2 25600 '' '')" 7
unset COW
PATH=${PATH#*:}

# ---- others ----

blkid() { printf 'a\033[2Jb\n'; }
case $(cw_list_devices) in
*"$(printf '\033')"*) no 'labels for a terminal' "$(cw_list_devices | od -c)" ;;
esac
unset -f blkid

cw_ro=''
is 'options of FAT' "$(cw_mount_options vfat rw)" rw,nosuid,nodev,noatime,umask=077
is 'options of FAT, first' "$(cw_mount_options vfat ro)" ro,nosuid,nodev,umask=077
is 'options of a medium' "$(cw_mount_options iso9660 ro)" ro,nosuid,nodev
cw_ro='' cw_flags=''
is 'discards' "$(cw_root_options ext4)" rw,discard
cw_flags=noatime
is 'own options' "$(cw_root_options ext4)" rw,noatime
cw_ro=y cw_flags=''
is 'read-only' "$(cw_root_options ext4)" ro

exit $status
