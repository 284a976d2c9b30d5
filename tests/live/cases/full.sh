# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The persistent disk fills up: the writer gets the error, the system stays up,
# and writing works again after a cleanup.

boot() {
	boot_rw cloopw.cow=LABEL=CLOOPW-RW:/cow
}

make_rw 96M

boot
check 'something to keep' guest \
	'head -c 5M /dev/urandom >/root/kept; sync /root/kept; sha256sum /root/kept >/root/sum; sync /root/sum'
guest_seconds=400
check 'a writer gets an error' guest \
	'! dd if=/dev/urandom of=/root/fill bs=1M count=200 conv=fsync 2>/dev/shm/error; cat /dev/shm/error'
check 'it says that there is no space' guest \
	'grep "No space left" /dev/shm/error'
check 'the file system has said so, before the device had to' guest \
	'cloopwsetup -ln -O state | grep -x ok; ! dmesg | grep -iE "space allocation error|i/o error|ext4-fs error"'
check 'most of the disk was used' guest \
	'[ $(cloopwsetup -lJ -O cow-total | tr -dc 0-9) -gt 50000000 ]'
check 'what is there can be read' guest \
	'echo 3 >/proc/sys/vm/drop_caches; sha256sum -c /root/sum'
check 'the system is up' guest 'systemctl is-active dbus.socket systemd-logind.service'
check 'the root is still writable' guest 'findmnt -n -o OPTIONS / | grep -q ^rw'
check 'a cleanup' guest 'rm /root/fill; sync; fstrim -v /'
check 'writing works again' guest \
	'for i in $(seq 300); do cloopwsetup -ln -O state | grep -qx ok && break; sleep 1; done; dd if=/dev/urandom of=/root/again bs=1M count=10 conv=fsync && sha256sum /root/again >/root/sum2 && sync'
check 'the device is well' guest 'for i in $(seq 300); do cloopwsetup -ln -O state | grep -x ok && break; sleep 1; done'
vm_off
boot
check 'nothing earlier is lost' guest 'sha256sum -c /root/sum'
check 'nor what was written after it' guest 'sha256sum -c /root/sum2'
vm_off
