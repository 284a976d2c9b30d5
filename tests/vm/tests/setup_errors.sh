# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# cloopwsetup: what it refuses, that it says why and what to do, and that it
# leaves everything as it was.

defer 'cloopwsetup -D; rmmod cloopw loop 2>/dev/null || :'

truncate -s 8M raw
mkfs.ext4 -q -d /etc raw
cp raw other
truncate -s 9M other
mkcloopw -q raw image.cloopw
dev=/dev/cloopw0

# ---- the module ----

mkdir empty
# the bind mount has to be undone whatever the tool does
without_modules() {
	local status=0
	mount --bind empty /usr/lib/modules
	"$@" || status=$?
	umount /usr/lib/modules
	return $status
}
refuses "no module for this kernel" \
	'module cloopw: cannot be loaded: .*not found.*; there is none for kernel .*make install' \
	without_modules cloopwsetup --driver -c cow $dev raw
check "no COW file was made" test ! -e cow
refuses "detach without the module" 'no such device' cloopwsetup -d $dev
must "the module loads" cloopwsetup -f
modprobe loop

# ---- not root ----

chmod 755 . "$SCRATCH" /tmp
grep -qs '^nobody:' /etc/passwd ||
	echo 'nobody:x:65534:65534:nobody:/:/bin/sh' >>/etc/passwd
# as_nobody COMMAND...: words without blanks
as_nobody() {
	su -s /usr/bin/sh nobody -c "PATH=$PATH $*"
}
check "not root" test "$(as_nobody id -u)" = 65534
refuses "attach is for root" 'run this as root' as_nobody cloopwsetup $dev "$PWD/raw"
refuses "a free device is for root" 'run this as root' as_nobody cloopwsetup -f
chmod 600 other
refuses "unreadable image" 'other: cannot open the image: Permission denied' \
	as_nobody cloopwsetup $dev "$PWD/other"
must "attach for the next" cloopwsetup $dev raw
check "anybody may list" as_nobody cloopwsetup -l
check "and sees it" test "$(as_nobody cloopwsetup -n -O NAME)" = $dev
refuses "detach is for root" 'run this as root' as_nobody cloopwsetup -d $dev
must "detach it" cloopwsetup -d $dev

# ---- images ----

: >zero
refuses "missing image" 'missing: cannot open the image: No such file' \
	cloopwsetup -c cow $dev missing
refuses "directory" 'is a directory, not an image' cloopwsetup -c cow $dev .
refuses "empty image" 'zero: is empty' cloopwsetup -c cow $dev zero
refuses "character device" '/dev/null: is neither' cloopwsetup -c cow $dev /dev/null
refuses "offset behind the end" 'offset .*behind its end' cloopwsetup -o 1G $dev raw
refuses "offset not whole in sectors" 'multiple of 512' cloopwsetup -c cow -o 100 $dev raw
head -c $(($(stat -c %s image.cloopw) - 4096)) image.cloopw >cut.cloopw
refuses "truncated image" 'cut.cloopw: .*truncated.*; .*get it again' \
	cloopwsetup -c cow $dev cut.cloopw
head -c 100000 /dev/urandom >noise.cloop
refuses "no header where the name promises one" '[-][-]format raw' \
	cloopwsetup -c cow $dev noise.cloop
refuses "a format that it is not" 'raw: is no cloop2 image' \
	cloopwsetup --format cloop2 $dev raw
check "no COW file came from any of these" test ! -e cow
check "nor anything else" test -z "$(find . -name '.*' ! -name .)"
check "nor an attached device" test -z "$(cloopwsetup)"

# ---- COW files ----

must "make a COW file" cloopwsetup -c cow --cow-format uml $dev raw
must "detach" cloopwsetup -d $dev
cp --sparse=always -p cow cow.before

refuses "COW of another base" \
	"cow: was made for $PWD/raw of 8388608 bytes, but $PWD/other has 9437184; give the image" \
	cloopwsetup -c cow $dev other
cp raw same-size
touch -d 2020-02-02 same-size
refuses "COW of a base of the same size" "was made for $PWD/raw as modified at" \
	cloopwsetup -c cow $dev same-size
same "it stays as it was" cow.before cow

head -c 5000000 cow >short
refuses "truncated COW" 'short: truncated.*; .*get it again' cloopwsetup -c short $dev raw
head -c 100 cow >stump
refuses "COW of less than a header" 'stump: truncated' cloopwsetup -c stump $dev raw
head -c 70000 /dev/urandom >letter
cp letter letter.before
refuses "existing file that is no COW" 'letter: is not a COW file and is left as it is' \
	cloopwsetup -c letter $dev raw
same "it is left as it is" letter.before letter
refuses "empty file" 'zero: is empty, not a COW file' cloopwsetup -c zero $dev raw
check "it stays empty" test ! -s zero
refuses "a directory as COW" 'is a directory, not a COW file' cloopwsetup -c . $dev raw
refuses "no directory for the COW" 'none/cow: its directory' cloopwsetup -c none/cow $dev raw
refuses "-r and no COW file" 'with -r no COW file is made' cloopwsetup -r -c new $dev raw
refuses "a lower layer that is missing" 'only the first -c' \
	cloopwsetup -c new -c missing $dev raw
refuses "one COW file twice" 'given twice' cloopwsetup -c cow -c ./cow $dev raw
refuses "the COW file as image" 'is a COW file, not an image' cloopwsetup $dev cow
check "no COW file came from any of these" test ! -e new

mkdir ro
mount -t tmpfs tmpfs ro
defer 'umount ro 2>/dev/null || :'
cp --sparse=always -p cow ro/cow
mount -o remount,ro ro
refuses "COW on a read-only file system" 'for writing: Read-only file system; -r attaches' \
	cloopwsetup -c ro/cow $dev raw
check "but with -r" cloopwsetup -r -c ro/cow $dev raw
must "detach that" cloopwsetup -d $dev
refuses "new COW on a read-only file system" 'ro/new: cannot make the COW file: Read-only' \
	cloopwsetup -c ro/new $dev raw

truncate -s 16M fat.img
mkfs.vfat fat.img >/dev/null
mkdir fat
mount -o loop fat.img fat
defer 'umount fat 2>/dev/null || :'
truncate -s 5G large
refuses "COW longer than the file system takes" 'fat/cow: cannot extend it to' \
	cloopwsetup -c fat/cow --cow-format uml $dev large
check "nothing is left of it" test -z "$(ls -A fat)"

# ---- devices ----

must "attach" cloopwsetup -c cow $dev raw
refuses "a device in use" "has an image already: $PWD/raw; detach it" \
	cloopwsetup $dev other
refuses "a COW file in use" 'cow: is in use by /dev/cloopw0; detach it' \
	cloopwsetup -c cow /dev/cloopw1 raw
refuses "a loop device" '/dev/loop0: not a cloopw device, but the block device loop0' \
	cloopwsetup /dev/loop0 raw
refuses "detach a loop device" 'not a cloopw device' cloopwsetup -d /dev/loop0
refuses "a file as device" 'raw: not a cloopw device, but a regular file' \
	cloopwsetup raw other
refuses "device and image the wrong way round" 'first the DEVICE, then the IMAGE' \
	cloopwsetup raw /dev/cloopw1
refuses "a device of its own" 'has an image already' cloopwsetup $dev $dev
refuses "an idle device as image" 'cloopw2: ' cloopwsetup /dev/cloopw1 /dev/cloopw2
mknod stale b 7 12345
refuses "a node without a device" 'stale: no such device' cloopwsetup stale raw
must "detach" cloopwsetup -d $dev

# ---- in use ----

mkdir 'mount point' mnt
busy() {
	local name=$1 regex=$2
	refuses "busy: $name" "$dev: cannot detach: is in use: .*$regex" cloopwsetup -d $dev
}

must "attach" cloopwsetup -c cow $dev raw
mount $dev 'mount point'
defer 'umount "mount point" 2>/dev/null || :'
busy "mounted" "$dev is mounted on $PWD/mount point; first 'umount"
umount 'mount point'

# shellcheck disable=SC2217  # it only holds it open
sleep 1000 <$dev &
holder=$!
busy "process" "process $holder \(sleep\) has $dev open"
kill $holder
wait $holder || :

dmsetup --noudevsync create linear --table "0 2048 linear $dev 0"
defer 'dmsetup --noudevsync remove linear 2>/dev/null || :'
busy "device-mapper" "device-mapper's linear is on $dev; first 'dmsetup remove linear'"
dmsetup --noudevsync remove linear

loop=$(losetup -f --show $dev)
defer "losetup -d $loop 2>/dev/null || :"
busy "loop" "$dev is the file of $loop"
losetup -d "$loop"

must "attach one on top" cloopwsetup /dev/cloopw1 $dev
busy "cloopw" "$dev is the image of /dev/cloopw1; first 'cloopwsetup -d /dev/cloopw1'"
refuses "-D detaches what it can and says what not" "$dev: cannot detach" cloopwsetup -D
check "the upper one is gone" test "$(cloopwsetup -n -O NAME)" = $dev
check "now the lower one can go" cloopwsetup -D

soon_free() {
	cloopwsetup $dev raw
	# shellcheck disable=SC2217  # it only holds it open
	sleep 0.2 <$dev &
	cloopwsetup -d $dev
	wait
}
check "who looks at it for a moment is waited for" soon_free

partition_busy() {
	truncate -s 16M disk
	printf '%s\n' 'label: dos' '2048,' | sfdisk -q disk
	dd if=raw of=disk bs=1M seek=1 conv=notrunc status=none
	cloopwsetup -P $dev disk
	mount -o ro,noload ${dev}p1 mnt
}
must "mount a partition" partition_busy
defer 'umount mnt 2>/dev/null || :'
busy "partition" "${dev}p1 is mounted on $PWD/mnt"
umount mnt
check "free again" cloopwsetup -d $dev

check "nothing is left attached" test -z "$(cloopwsetup)"
