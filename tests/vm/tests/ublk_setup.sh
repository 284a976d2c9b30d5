# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# cloopwsetup on a kernel that has no module of ours: attach takes ublk by itself, and
# each option works as with the module.

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
check "a snapshot while it is mounted" cloopwsetup --snapshot top /dev/cloopw0
cp -r /usr/lib/udev mnt/more
umount mnt
check "there are two layers" sh -c "cloopwsetup -ln -O cow /dev/cloopw0 | grep -q 'top.*cow'"
check "detach" cloopwsetup -d /dev/cloopw0
check "the link is gone" test ! -e /dev/cloopw0
check "the layers are sound" cloopwck -c top -c cow image.cloopw
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
# processes: of cloopw-ublkd; each process's parent stands before it
processes() {
	ps -eo ppid=,pid=,args= | awk '/[c]loopw-ublkd image|[c]loopw-ublkd pidfile/ { print $1, $2 }'
}
# the supervisor is the one that is a parent of the other
read -r server worker < <(processes | awk '{ pid[$2]; parent[$1] = $2 }
	END { for (p in pid) if (p in parent) print p, parent[p] }')
kill -9 "$worker"
check "a server that was killed goes on" cmp -n 1048576 -i 0 /dev/cloopw0 /dev/ublkb0
check "and is not failed" test "$(column state)" = ok
kill -TERM "$server"
sleep 1
check "TERM does not end it" test "$(column state)" = ok
check "detach" cloopwsetup -d /dev/cloopw0
refuses "two servers of one COW" 'is in use' sh -c \
	'cloopwsetup -c top /dev/cloopw0 image.cloopw; cloopwsetup -c top /dev/cloopw1 image.cloopw'
cloopwsetup -D
must "attach" cloopwsetup --ram=32M /dev/cloopw0 image.cloopw
dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=8 conv=fsync status=none
processes | while read -r _ pid; do kill -9 "$pid"; done
check "a server that is lost shows" wait_for 10 test "$(column state)" = failed
refuses "detach tells that writes may be lost" 'its server had ended' cloopwsetup -d /dev/cloopw0
check "and nothing is left" test ! -e /dev/ublkb0
