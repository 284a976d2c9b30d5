# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
# cpus: 2, the server is killed while requests are under way
#
# cloopw-ublkd alone: reads, writes, discards and flushes of the block device; the end
# by a signal; a server that is killed under load; a device whose server is lost.
# cloopw_kills=N on the kernel's command line says how often it is killed (12).

modprobe -a ublk_drv loop
pid=0
mkdir mnt
# shellcheck disable=SC2016  # pid as it is then
defer 'umount mnt 2>/dev/null || :; kill -INT "$pid" || :; sleep 1; rmmod ublk_drv || :'

truncate -s 64M raw
mkfs.ext4 -q -d /usr/lib/udev raw
mkcloopw -q raw image.cloopw

# serve NAME [KEY=VALUE...]: in the background; sets dev when the device can be used
serve() {
	local name=$1
	shift
	rm -f "$name.pid"
	cloopw-ublkd image=image.cloopw "cow=$name.cow" "pidfile=$name.pid" "idfile=$name.id" \
		"$@" 2>"$name.log" &
	for _ in $(seq 300); do
		[ ! -s "$name.pid" ] || break
		sleep 0.1
	done
	dev=/dev/ublkb$(cat "$name.id")
	read -r pid _ <"$name.pid"
}

# finish NAME: ends the server of pid, which must say that all was stored
finish() {
	kill -INT "$pid"
	if wait "$pid"; then ok "$1"; else fail "$1" "status $?"; fi
}

must "this machine can serve" cloopw-ublkd --check
serve one
ok "serve"
check "the device has the image's content" cmp -n 67108864 raw "$dev"
check "it can be mounted" mount "$dev" mnt
cp -r /etc mnt/etc
dd if=/dev/urandom of=mnt/data bs=64k count=160 conv=fsync status=none
sum=$(sha256sum <mnt/data)
check "discards reach it" fstrim mnt
check "unmounted" umount mnt
finish "its end is orderly"
check "and the device is gone" test ! -e "$dev"
check "the log is sound" cloopwck -c one.cow image.cloopw

serve wide sector-size=4096
check "sectors of 4096 bytes" test "$(blockdev --getss "$dev")" = 4096
check "such are written" dd if=/dev/zero of="$dev" bs=4096 count=8 oflag=direct status=none
refuses "smaller ones are not" 'Invalid argument' \
	dd if=/dev/zero of="$dev" bs=512 count=1 oflag=direct status=none
finish "and ended"

serve one
check "the file system is sound" e2fsck -fn "$dev"
mount "$dev" mnt
check "what was written is there" test "$sum" = "$(sha256sum <mnt/data)"
umount mnt
check "fio verifies" fio --name=v --filename="$dev" --rw=randrw --bs=4k-64k --size=32M \
	--verify=crc32c --iodepth=8 --ioengine=libaio --direct=1 --fsync=16

# ---- zeros, and what is durable at once ----

dd if=/dev/urandom of="$dev" bs=1M count=2 seek=20 oflag=direct conv=notrunc status=none
check "zeros are written" blkdiscard -z -o $((20 << 20)) -l 1048576 "$dev"
check "and read" cmp -n 1048576 -i $((20 << 20)):0 "$dev" /dev/zero
check "and nothing else is zero" sh -c "! cmp -s -n 1048576 -i $((21 << 20)):0 $dev /dev/zero"
check "zeros that are no whole pages" blkdiscard -z -o $(((21 << 20) + 512)) -l 1024 "$dev"
check "and read" cmp -n 1024 -i $(((21 << 20) + 512)):0 "$dev" /dev/zero
finish "and ended"

truncate -s 48M log
log=$(losetup -f --show log)
defer "losetup -d $log"
rm -f durable.pid
cloopw-ublkd image=image.cloopw "cow=$log" pidfile=durable.pid idfile=durable.id 2>durable.log &
wait_for 30 test -s durable.pid
dev=/dev/ublkb$(cat durable.id)
read -r pid _ <durable.pid
# flushes: of the log's device
flushes() { awk '{ print $16 }' "/sys/block/${log#/dev/}/stat"; }
before=$(flushes)
dd if=/dev/urandom of="$dev" bs=4k count=8 oflag=direct,dsync conv=notrunc status=none
after=$(flushes)
check "each FUA and each flush flushes the log's device ($((after - before)) for 8 of both)" \
	test $((after - before)) -ge 16
finish "and ended"
serve one

# ---- a server that is killed ----

server_of() {
	tr -d ' ' <"/proc/$1/task/$1/children"
}

most=$(sed -n 's/.*cloopw_kills=\([0-9]*\).*/\1/p' /proc/cmdline)
most=${most:-12}
fio --name=k --filename="$dev" --rw=randwrite --bs=4k --size=32M --verify=crc32c \
	--iodepth=4 --ioengine=libaio --direct=1 --time_based --runtime=$((most * 5 / 3)) --fsync=8 \
	--do_verify=1 >fio.log 2>&1 &
fio=$!
kills=0
while kill -0 $fio 2>/dev/null && [ $kills -lt "$most" ]; do
	sleep 1.2
	kill -9 "$(server_of "$pid")" && kills=$((kills + 1))
done
if wait $fio; then
	ok "fio sees no error and no wrong byte over $kills kills"
else
	fail "fio sees no error and no wrong byte over $kills kills" "$(tail -5 fio.log)"
fi
check "it was killed more than once" test $kills -gt $((most / 3))
finish "its end is orderly still"
check "the log is sound" cloopwck -c one.cow image.cloopw

# ---- another program removes the device ----

serve three
cloopw-ublkd "remove=$(cat three.id)"
if wait "$pid"; then
	ok "its server ends when others remove the device"
else
	fail "its server ends when others remove the device" "status $?"
fi
check "the log is sound" cloopwck -c three.cow image.cloopw

# ---- another COW of the image has the name of the one that is served ----

serve four
mv three.cow four.cow
kill -9 "$(server_of "$pid")"
! wait "$pid" || fail "the supervisor gives up"
check "no server goes on with another COW" grep -q 'is another COW by now' four.log
check "and the device is gone" wait_for 10 test ! -e "$dev"

# ---- server and supervisor are lost ----

serve two
kill -9 "$pid" "$(server_of "$pid")"
dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null &
reader=$!
sleep 1
check "the device can be removed" cloopw-ublkd "remove=$(cat two.id)"
wait $reader || :
check "who waited for it does not wait any more" test ! -d /proc/$reader
check "the device is gone" test ! -e "$dev"

# ---- a server reads what the index names, and no more ----

for _ in $(seq 16); do
	head -c 512K /dev/urandom
	head -c 1536K /dev/zero
done >mixed
truncate -s 48M medium
mkfs.ext4 -q medium
medium=$(losetup -f --show medium)
mkdir on
mount "$medium" on
defer "umount on; losetup -d $medium"
mkcloopw -q -b 64K mixed on/image.cloopw
cloopw-ublkd image=on/image.cloopw format=cloopw pidfile=on.pid idfile=on.id 2>on.log &
wait_for 30 test -s on.pid
dev=/dev/ublkb$(cat on.id)
read -r pid _ <on.pid

# medium_bytes: that were read from it
medium_bytes() {
	awk '{ print $3 * 512 }' "/sys/block/${medium#/dev/}/stat"
}

sync
echo 3 >/proc/sys/vm/drop_caches
before=$(medium_bytes)
for i in $(seq 0 15); do
	dd if="$dev" of=/dev/null bs=128K count=1 skip=$((i * 16)) iflag=direct status=none
done
bytes=$(($(medium_bytes) - before))
check "a read of two blocks fetches these, not the blocks behind them ($bytes bytes)" \
	test $bytes -lt $((16 * 128 * 1024 * 5 / 4))
finish "its end is orderly"

# ---- refusals ----

refuses "an unknown parameter" "unknown parameter 'size'" cloopw-ublkd size=4
refuses "a word without a value" 'cow: is not KEY=VALUE' cloopw-ublkd cow
refuses "more queues than there are" 'queues=8: is more than 4' cloopw-ublkd queues=8
refuses "a device that is no number" 'device=x: is not a number' cloopw-ublkd device=x
refuses "an image that is not there" 'No such file' cloopw-ublkd image=none
truncate -s 32M other
refuses "a COW of another image" 'was made for' \
	cloopw-ublkd image=other format=raw cow=one.cow
