# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# 256 MiB of memory, an image larger than that, 64 MiB for the changes. Heavy writing
# ends in "no space", not in the death of the system.

big_image() {
	mkdir "$work/big"
	cp -a "$live/root/." "$work/big/"
	head -c 300M /dev/urandom >"$work/big/usr/share/big"
	mke2fs -q -t ext4 -L root -d "$work/big" "$work/big.img" 2G
	rm -r "$work/big"
	mkdir "$work/medium"
	"$top/build/bin/mkcloopw" -q "$work/big.img" "$work/medium/root.cloopw"
	mke2fs -q -t ext4 -L BIG -d "$work/medium" "$work/medium.img" 1G
	rm -r "$work/medium"
}

big_image
direct 'cloopw.image=LABEL=BIG:/root.cloopw cloopw.cow=ram:64M'
with disk "$work/medium.img" readonly=on
vm_mem=256 vm_start "${vm_options[@]}"
vm_login 400
check 'the image is larger than the memory' guest \
	'[ $(stat -c %s /run/initramfs/cloopw/medium/root.cloopw) -gt $((256 << 20)) ]'
guest_seconds=600
check 'writers get "no space", and nothing else' guest \
	'for i in 1 2 3; do dd if=/dev/urandom of=/root/fill$i bs=1M count=100 conv=fsync & done 2>/dev/shm/error; wait; [ $(grep -c "No space" /dev/shm/error) = 3 ] && ! grep -i "Input/output" /dev/shm/error'
check 'all of the image is read meanwhile' guest \
	'(head -c 20M /dev/urandom >/root/more; sync) & cat /usr/share/big | wc -c | grep -x 314572800'
guest_seconds=120
check 'the COW is at its limit, not above' guest \
	'[ $(cloopwsetup -lJ -O cow-total | tr -dc 0-9) -le $((64 << 20)) ]'
check 'no OOM, no hang, no error on the device' guest \
	'! dmesg | grep -iE "out of memory|oom-kill|blocked for more|soft lockup|i/o error|ext4-fs error|aborting journal"'
check 'after a cleanup writing works' guest \
	'rm -f /root/fill* /root/more; sync; fstrim /; dd if=/dev/urandom of=/root/x bs=1M count=5 conv=fsync'
vm_off
