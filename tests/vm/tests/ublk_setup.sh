# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# cloopwsetup on a kernel that has no module of ours: attach takes ublk by itself, and
# each option works as with the module.

# shellcheck source=tests/vm/lib/ublkd.sh
. /cloopw/lib/ublkd.sh
defer 'cloopwsetup -D; rmmod ublk_drv 2>/dev/null || :'
mkdir mnt
defer 'umount mnt 2>/dev/null || :'

truncate -s 64M raw
mkfs.ext4 -q -L MYROOT -d /usr/lib/udev raw
mkcloopw -q raw image.cloopw
mv "/lib/modules/$(uname -r)/extra/cloopw.ko" cloopw.ko
depmod
# shellcheck disable=SC2016  # the directory as it is then
defer 'mv "$PWD/cloopw.ko" "/lib/modules/$(uname -r)/extra/"; depmod'

column() {
	cloopwsetup -ln -O "$1" | tr -d ' '
}

must "udev starts" start_udev
# ---- what the machine may lack ----

echo 2 >/proc/sys/kernel/io_uring_disabled
refuses "io_uring is disabled" 'io_uring_disabled=0' \
	cloopwsetup --userspace=ublk /dev/cloopw0 image.cloopw
echo 0 >/proc/sys/kernel/io_uring_disabled
server=$(command -v cloopw-ublkd)
mv "$server" away
refuses "the server is not installed" 'cloopw-ublkd is not installed' \
	cloopwsetup --userspace=ublk /dev/cloopw0 image.cloopw
mv away "$server"

refuses "--driver says what is missing" 'module cloopw: cannot be loaded' \
	cloopwsetup --driver -c cow /dev/cloopw0 image.cloopw
cloopwsetup -v -c cow /dev/cloopw0 image.cloopw >said 2>&1
check "attach takes ublk, and says so" grep -q 'by ublk' said
check "/dev/cloopw0 leads to its node" test "$(readlink /dev/cloopw0)" = /dev/ublkb0
check "it is listed" sh -c "cloopwsetup -l | grep -q '^/dev/cloopw0 .* ok\$'"
has_label() { test "$(readlink -f /dev/disk/by-label/MYROOT)" = /dev/ublkb0; }
check "it has a link by label" wait_for 10 has_label
check "it has the image's content" cmp -n 67108864 raw /dev/cloopw0
mount /dev/cloopw0 mnt
cp -r /etc mnt/etc
refuses "a device in use is not detached" 'is mounted on' cloopwsetup -d /dev/cloopw0
check "the flush" cloopwsetup --flush /dev/cloopw0
check "a limit" cloopwsetup --cow-limit 48M /dev/cloopw0
check "which the list has" test "$(column cow-limit)" = 48.0MiB
check "the cache" cloopwsetup --set-cache 8M /dev/cloopw0
check "which the list has" test "$(column cache-limit)" = 8.0MiB
if cloopwsetup --resize=128M /dev/cloopw0 2>said; then
	ok "it grows while it is mounted"
	check "the disk has the size" test "$(blockdev --getsize64 /dev/cloopw0)" = $((128 << 20))
	check "and the list" test "$(column size)" = 128.0MiB
	check "and the file system takes it" resize2fs /dev/cloopw0
else
	check "a kernel that cannot show it says what helps" \
		grep -q 'from 6.16 on: detach it, and attach it with --resize=SIZE' said
	check "the disk has its size" test "$(blockdev --getsize64 /dev/cloopw0)" = 67108864
fi
check "a snapshot while it is mounted" cloopwsetup --snapshot top /dev/cloopw0
cp -r /usr/lib/udev mnt/more
umount mnt
check "there are two layers" sh -c "cloopwsetup -ln -O cow /dev/cloopw0 | grep -q 'top.*cow'"
check "detach" cloopwsetup -d /dev/cloopw0
check "the link is gone" test ! -e /dev/cloopw0
check "the layers are sound" cloopwck -c top -c cow image.cloopw
cloopwsetup --userspace=ublk --resize=160M -c top /dev/cloopw0 image.cloopw
check "an attach grows it" test "$(blockdev --getsize64 /dev/cloopw0)" = $((160 << 20))
refuses "it does not shrink" 'not resized: ' cloopwsetup --resize=1M /dev/cloopw0
cloopwsetup -d /dev/cloopw0
# ---- what was written ----

must "attach again, the layer below is found" cloopwsetup -c top /dev/cloopw0 image.cloopw
check "the file system is sound" e2fsck -fn /dev/cloopw0
mount -o ro /dev/cloopw0 mnt
check "what was written before the snapshot is there" test -f mnt/etc/mtab -o -d mnt/etc
check "and after it" test -d mnt/more
umount mnt
check "detach" cloopwsetup -d /dev/cloopw0

# ---- its server ----

must "attach" cloopwsetup -c top /dev/cloopw0 image.cloopw
read -r server worker < <(family)
kill -9 "$worker"
check "a server that was killed goes on" cmp -n 1048576 -i 0 /dev/cloopw0 /dev/ublkb0
check "and is not failed" test "$(column state)" = ok
kill -TERM "$server"
sleep 1
check "TERM does not end it" test "$(column state)" = ok
check "detach" cloopwsetup -d /dev/cloopw0

# ---- a server goes on with what there is at that time ----

rm -f low top2
must "attach with a small limit" cloopwsetup -c low --cow-limit 16M /dev/cloopw0 image.cloopw
check "a larger limit" cloopwsetup --cow-limit 48M /dev/cloopw0
check "much is written" dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=24 oflag=direct status=none
sum=$(sha256sum </dev/cloopw0)
check "a killed server's device goes on" kill_worker
check "with the larger limit" test "$(column cow-limit)" = 48.0MiB
check "a snapshot with another codec" cloopwsetup --cow-codec zstd --snapshot top2 /dev/cloopw0
udevadm monitor --udev --property --subsystem-match=block >events &
defer "kill $!"
check "a mark for what is left" cloopwsetup --low-space 100% /dev/cloopw0
check "which the list has" test "$(column low-space)" = 100%
check "udev is told of low space" wait_for 20 grep -q '^CLOOPW_LOW_SPACE=1' events
check "and of the state" grep -q '^CLOOPW_STATE=ok' events
lows=$(grep -c '^CLOOPW_LOW_SPACE=1' events)
told_again() { test "$(grep -c '^CLOOPW_LOW_SPACE=1' events)" -gt "$lows"; }
check "a killed server's device goes on" kill_worker
check "the next server has the mark" test "$(column low-space)" = 100%
check "and tells udev of low space, too" wait_for 20 told_again
check "a mark in bytes" cloopwsetup --low-space 3M /dev/cloopw0
check "a killed server's and supervisor's device goes on" kill_both
check "the next server has that mark" test "$(column low-space)" = 3145728
refuses "what is there is no snapshot" 'is there already' cloopwsetup --snapshot low /dev/cloopw0
check "a second server of the snapshot's top is refused" sh -c \
	'! cloopwsetup --userspace=ublk -c top2 /dev/cloopw1 image.cloopw'
check "a killed server's device goes on" kill_worker
check "with both layers" sh -c "cloopwsetup -ln -O cow /dev/cloopw0 | grep -q 'top2.*low'"
check "and all data" test "$sum" = "$(sha256sum </dev/cloopw0)"
rm -r /run/cloopw/0/status
check "without its status socket, too" kill_worker
check "detach" cloopwsetup -d /dev/cloopw0

must "attach with a mark" cloopwsetup -c low2 --low-space 20% /dev/cloopw0 image.cloopw
dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=4 oflag=direct status=none
check "it has the mark" test "$(column low-space)" = 20%
mv low2 elsewhere
kill_worker 2>/dev/null || :
check "a COW that lost its name is not made anew" test ! -e low2
check "and the device answers with errors, or is gone" sh -c \
	'! timeout 20 dd if=/dev/cloopw0 of=/dev/null bs=4k count=1 iflag=direct'
cloopwsetup -d /dev/cloopw0 || :
check "the COW is sound" cloopwck elsewhere

must "attach" cloopwsetup -c low3 /dev/cloopw0 image.cloopw
mount /dev/cloopw0 mnt
read -r server worker < <(family)
kill -9 "$server"
check "without its supervisor it serves on" test "$(column state)" = ok
kill -9 "$worker"
check "then killed itself, another one goes on" goes_on "$worker"
check "and is well" test "$(column state)" = ok
dd if=/dev/urandom of=mnt/data bs=64k count=400 conv=fsync status=none &
writer=$!
for kill in 1 2 3; do
	check "killed with its supervisor under writes, $kill" kill_both
done
status=0
wait $writer || status=$?
check "who writes saw no error" test $status = 0
read -r server worker < <(family)
kill -9 "$server"
check "without its supervisor it serves on" test "$(column state)" = ok
refuses "and is not detached while it is mounted" 'is mounted on' cloopwsetup -d /dev/cloopw0
umount mnt
check "detach" cloopwsetup -d /dev/cloopw0
check "the COW is sound" cloopwck low3

# ---- another image, or another COW, has the name of one that is served ----

must "attach without a COW" cloopwsetup --userspace=ublk /dev/cloopw0 image.cloopw
truncate -s 80M other
mkcloopw -q other other.cloopw
cp image.cloopw kept.cloopw
mv other.cloopw image.cloopw
check "a killed server's device goes on" kill_worker
check "with the image that it had" cmp -n 67108864 raw /dev/cloopw0
check "and its size" test "$(blockdev --getsize64 /dev/cloopw0)" = 67108864
check "another version takes over" cloopwsetup --takeover /dev/cloopw0
check "a killed server's and supervisor's device goes on" kill_both
check "with the image that it had" cmp -n 67108864 raw /dev/cloopw0
check "detach" cloopwsetup -d /dev/cloopw0
mv kept.cloopw image.cloopw

must "attach a raw image" cloopwsetup --format raw -c rawcow /dev/cloopw0 raw
touch raw
check "its time is another: a killed server's device goes on" kill_worker
check "and is well" test "$(column state)" = ok
check "detach" cloopwsetup -d /dev/cloopw0

must "attach" cloopwsetup -c named1 /dev/cloopw0 image.cloopw
check "a snapshot" cloopwsetup --snapshot named2 /dev/cloopw0
mv named2 away2
cp low3 named2
kill_worker 2>/dev/null || :
check "no server goes on with another COW" wait_for 10 \
	grep -q 'no server goes on' /run/cloopw/0/log
cloopwsetup -d /dev/cloopw0 || :

# ---- its processes ----

must "attach" cloopwsetup -c stopped /dev/cloopw0 image.cloopw
head -c 1200000 /dev/zero | tr '\0' x >>/run/cloopw/0/log
is_short() { test "$(stat -c %s /run/cloopw/0/log)" -lt 1000000; }
check "its log is kept short" wait_for 10 is_short
read -r _ worker < <(family)
kill -STOP "$worker"
check "its server is stopped: detach" cloopwsetup -d /dev/cloopw0
check "its log is gone with it" test ! -e /run/cloopw/0

must "attach" cloopwsetup -c stopped /dev/cloopw0 image.cloopw
read -r server worker < <(family)
watch=$(processes cloopw-watch | awk '{ print $2 }')
kill -9 "$watch"
has_watch() { [ "$(processes cloopw-watch | awk '{ print $2 }')" ]; }
check "its watch is killed: there is another" wait_for 10 has_watch
check "which goes on for both" kill_both
check "detach" cloopwsetup -d /dev/cloopw0

# ---- figures and partitions ----

must "attach with partitions" cloopwsetup -P -c parts /dev/cloopw0 image.cloopw
cloopwsetup --stats=1,1 /dev/cloopw0 >said
check "--stats has its figures" grep -qE '[0-9]' said
echo 'start=2048, size=8192' | sfdisk -q /dev/cloopw0
check "a partition" wait_for 10 test -b /dev/ublkb0p1
check "is written" dd if=/dev/zero of=/dev/ublkb0p1 bs=4k count=1 oflag=direct status=none
check "detach" cloopwsetup -d /dev/cloopw0
check "both are gone" test ! -e /dev/ublkb0p1 -a ! -e /dev/ublkb0

# ---- the root of an initramfs does not last ----

mkdir /medium
mount -t tmpfs tmpfs /medium
cp image.cloopw /medium/
must "attach from a file system of an initramfs" \
	cloopwsetup -c /medium/cow /dev/cloopw0 /medium/image.cloopw
mkdir later
mount --move /medium later
rmdir /medium
check "a killed server's successor finds its files where they were" kill_worker
check "so do those of a killed supervisor" kill_both
check "detach" cloopwsetup -d /dev/cloopw0
check "the COW is sound" cloopwck later/cow
umount later

refuses "two servers of one COW" 'is in use' sh -c \
	'cloopwsetup -c top /dev/cloopw0 image.cloopw; cloopwsetup -c top /dev/cloopw1 image.cloopw'
cloopwsetup -D
must "attach" cloopwsetup --ram=32M /dev/cloopw0 image.cloopw
dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=8 conv=fsync status=none
# All at once: one that is left starts the others again.
mapfile -t pids < <({ processes cloopw-watch; processes cloopw-ublkd; } | cut -d ' ' -f 2)
kill -STOP "${pids[@]}"
kill -9 "${pids[@]}"
is_lost() { test "$(column state)" = failed; }
check "a server that is lost with its watch shows" wait_for 10 is_lost
refuses "detach tells that writes may be lost" 'its server had ended' cloopwsetup -d /dev/cloopw0
check "and nothing is left" test ! -e /dev/ublkb0
check "nor a process" test ! "$(processes cloopw-ublkd; processes cloopw-watch)"
