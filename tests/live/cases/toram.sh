# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The image is copied to memory, and the medium is pulled.

direct 'cloopw.image=LABEL=CLOOPW:/live/root.cloopw cloopw.toram'
with cdrom "$live.iso"
vm_mem=1024 vm_start "${vm_options[@]}"
vm_expect 'the medium LABEL=CLOOPW is not needed any more' 300 ||
	stop 'it does not say that the medium can be removed'
ok 'it says that the medium can be removed'
vm_login 300
check 'the image is in memory' guest \
	'[ $(cloopwsetup -ln -O image) = /run/initramfs/cloopw/ram/root.cloopw ]'
check 'the medium is pulled' guest \
	'echo 1 >/sys/block/sr0/device/delete; [ ! -e /sys/block/sr0 ]'
check 'all is still there' guest \
	'echo 3 >/proc/sys/vm/drop_caches; cat /usr/bin/* /usr/lib/x86_64-linux-gnu/*.so* >/dev/null'
check 'and can be written' guest 'echo x >/etc/x; sync'
vm_off
