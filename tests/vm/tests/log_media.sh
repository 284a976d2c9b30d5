# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# COW logs on all that can hold them: files of several file systems, a disk, a
# partition, memory. And devices that must not become one by mistake.

modprobe -a cloopw loop
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0/cloopw
mib=$((1 << 20))

truncate -s 32M raw
mke2fs -q -t ext4 -d /etc raw
mkcloopw -q raw base.cloopw
head -c 4M /dev/urandom >random
yes line | head -c 4M >text || :

write() {
	dd if=random of=$dev bs=64k seek=1M oflag=direct,seek_bytes conv=notrunc
	dd if=text of=$dev bs=24k seek=9M oflag=seek_bytes conv=notrunc,fsync
}
holds() {
	echo 3 >/proc/sys/vm/drop_caches
	cmp -n $((4 * mib)) <(tail -c +$((mib + 1)) $dev) random
	cmp -n $((4 * mib)) <(tail -c +$((9 * mib + 1)) $dev) text
	cmp -i $((13 * mib)) raw $dev
}
# keeps NAME COW OPTIONS...: it holds what is written, also after an attach
keeps() {
	local name=$1 cow=$2
	shift 2
	must "$name: attached" cloopwsetup "$@" -c "$cow" $dev base.cloopw
	check "$name: a log" test "$(cat $sys/layers/0/format)" = log
	check "$name: written" write
	check "$name: read" holds
	check "$name: trimmed" blkdiscard -o $((20 * mib)) -l $((4 * mib)) $dev
	must "$name: detached" cloopwsetup -d $dev
	must "$name: attached again" cloopwsetup -c "$cow" $dev base.cloopw
	check "$name: read again" holds
	must "$name: detached again" cloopwsetup -d $dev
}

# ---- files ----

mkdir ext4 tmpfs fat
truncate -s 64M ext4.img fat.img
mke2fs -q -t ext4 ext4.img
mkfs.vfat fat.img >/dev/null
mount -o loop ext4.img ext4
defer umount ext4
mount -o loop fat.img fat
defer umount fat
mount -t tmpfs -o size=64M tmpfs tmpfs
defer umount tmpfs
keeps ext4 ext4/cow
keeps tmpfs tmpfs/cow
keeps FAT fat/cow
check "FAT: a file without holes, shorter than the device" \
	test "$(stat -c %s fat/cow)" -lt $((24 * mib))

# ---- codecs ----

for codec in lz4 lz4hc zstd zlib none; do
	must "$codec: attached" cloopwsetup -c cow --cow-codec $codec $dev base.cloopw
	check "$codec: written" write
	must "$codec: detached" cloopwsetup -d $dev
	must "$codec: attached again" \
		cloopwsetup -c cow --cow-codec $codec $dev base.cloopw
	check "$codec: read" holds
	live=$(cat $sys/cow_live_bytes)
	if [ $codec = none ]; then
		check "none: as it is" test "$live" -gt $((8 * mib))
	else
		check "$codec: it shrinks" test "$live" -lt $((5 * mib))
	fi
	must "$codec: detached again" cloopwsetup -d $dev
	rm cow
done
must "a level" cloopwsetup -c cow --cow-codec zstd --cow-level 12 $dev base.cloopw
must "detach" cloopwsetup -d $dev
refuses "another level" 'made with codec zstd level 12 and keeps it' \
	cloopwsetup -c cow --cow-codec zstd --cow-level 1 $dev base.cloopw

# ---- a disk and a partition ----

cow=$(disk 1)
mke2fs -q -F -t ext4 "$cow" 64M
refuses "a disk with a file system" "$cow: holds something that is no COW.*--force" \
	cloopwsetup -c "$cow" $dev base.cloopw
check "it is as it was" e2fsck -fn "$cow"
mkdir mnt
mount "$cow" mnt
refuses "one that is mounted" "$cow: cannot make it a COW: .*busy; it is mounted" \
	cloopwsetup --force -c "$cow" $dev base.cloopw
umount mnt
keeps "a disk" "$cow" --force
check "no file system is on it any more" test -z "$(blkid -p -o value -s TYPE "$cow")"

dd if=/dev/zero of="$cow" bs=4096 count=1 conv=fsync,notrunc status=none
refuses "a log on it that was overwritten" \
	"$cow: the beginning of this COW file is overw.*cloopwck -y $cow'.*--force" \
	cloopwsetup -c "$cow" $dev base.cloopw

# What is not zeros, where it begins and where it ends.
wipe() {
	dd if=/dev/zero of="$cow" bs=1M count=1 conv=fsync,notrunc
	dd if=/dev/zero of="$cow" bs=1M seek=2047 count=1 conv=fsync,notrunc
}
must "wiped" wipe
must "attached" cloopwsetup -c "$cow" $dev base.cloopw
same "records of the log before are none of the new one's" raw $dev
must "detached" cloopwsetup -d $dev
must "wiped again" wipe
for at in $((mib - 1)) $((2047 * mib)) $((2048 * mib - 1)); do
	printf x | dd of="$cow" bs=1 seek=$at conv=notrunc,fsync status=none
	refuses "a byte at $at" 'holds something' cloopwsetup -c "$cow" $dev base.cloopw
	dd if=/dev/zero of="$cow" bs=1 count=1 seek=$at conv=notrunc,fsync status=none
done
refuses "a format for files" 'of format uml cannot be made on a device' \
	cloopwsetup -c "$cow" --cow-format uml $dev base.cloopw

printf '%s\n' 'label: dos' '2048,131072' '133120,8192' | sfdisk -q "$cow"
keeps "a partition" "${cow}1" --force
check "it is full where it ends" \
	test "$(cat /sys/class/block/"${cow##*/}1"/size)" = 131072
refuses "one that is too small" "${cow}2: has 4.0 MiB, a COW needs 8.0 MiB or more" \
	cloopwsetup --force -c "${cow}2" $dev base.cloopw

fills_partition() {
	cloopwsetup -c "${cow}1" $dev big
	! dd if=/dev/urandom of=$dev bs=1M oflag=direct conv=notrunc || return 1
	test "$(cat $sys/state)" = full
	blkdiscard -l $((32 * mib)) $dev
	test "$(cat $sys/state)" = ok
	dd if=random of=$dev bs=1M oflag=direct conv=notrunc
	cloopwsetup -d $dev
}
truncate -s 96M big
dd if=/dev/zero of="${cow}1" bs=1M count=64 conv=fsync status=none
check "its length is its limit" fills_partition

# ---- memory ----

is_free() { test $(($(shmem) - before)) -lt 2048; }
shmem() { awk '/^Shmem:/ { print $2 }' /proc/meminfo; }
before=$(shmem)
must "--ram" cloopwsetup --ram=24M $dev base.cloopw
must "one page is written" dd if=random of=$dev bs=4k count=1 oflag=direct conv=notrunc
check "no memory is taken ahead" test "$(($(shmem) - before))" -lt 512
must "and is as it was" dd if=raw of=$dev bs=4k count=1 oflag=direct conv=notrunc
check "written" write
check "read" holds
check "it is in memory" test "$(($(shmem) - before))" -gt 4096
check "its limit" test "$(cat $sys/cow_limit)" = $((24 * mib))
check "what sysfs calls it" grep -q memfd $sys/layers/0/path
refuses "full at its limit" 'No space' \
	dd if=/dev/urandom of=$dev bs=1M oflag=direct conv=notrunc
check "state" test "$(cat $sys/state)" = full
must "detached" cloopwsetup -d $dev
check "the memory is free again" wait_for 10 is_free
must "--ram without a size" cloopwsetup --ram $dev base.cloopw
page=$(page_size)
pages=$(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) * 1024 / page))
check "half of the memory" \
	test "$(cat $sys/cow_limit)" = $(((pages - pages % 2) * page / 2))
same "it begins as the image" raw $dev
must "detached without a size" cloopwsetup -d $dev
must "--ram of a free device" sh -c "cloopwsetup --ram=1G -f --show base.cloopw >shown"
check "which is shown" test "$(cat shown)" = $dev
must "detached after that" cloopwsetup -d $dev
