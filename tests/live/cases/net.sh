# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The image is on a web server, which goes away for a while and comes back.

# shellcheck source=tests/net/lib.sh
. "$top/tests/net/lib.sh"
trap 'cleanup; end_servers' EXIT
other_initramfs "$work/initrd" 'libcurl4 ca-certificates' \
	'mkdir -p /etc/cloopw; echo CLOOPW_NET=y >/etc/cloopw/conf-hook
	mkinitramfs -o /initrd "$release"'
echo "live $case: an initramfs of $(stat -c %s "$live/root.boot/initrd.img") bytes," \
	"for URLs $(stat -c %s "$work/initrd")"
port=$(free_port)
mkdir -p "$work/www"
ln -f "$live/root.cloopw" "$work/www/root.cloopw"
chmod 755 "$work" "$work/www"
cd "$work" || exit
start_nginx "$port" "$work/www" 'location / { }'

# boot_net PARAMETERS...
boot_net() {
	direct "cloopw.image=http://10.0.2.2:$port/root.cloopw ip=dhcp" "$@"
	vm_options[3]=$work/initrd
	vm_options+=(-netdev user,id=net -device virtio-net-pci,netdev=net)
	vm_mem=1024 vm_start "${vm_options[@]}"
}

vm_panic='' boot_net
vm_login 600
check 'the root is on ublk' guest 'findmnt -n -o SOURCE / | grep -x "/dev/ublkb[0-9]*"'
check 'its image is at the URL' guest \
	"[ \$(cloopwsetup -ln -O image) = http://10.0.2.2:$port/root.cloopw ]"
check 'no driver of ours' guest '[ ! -d /sys/module/cloopw ]'
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
guest 'cloopwsetup -ln --raw -O net-fetched' || :
echo "live $case: fetched until now: $(grep -aoE '^[0-9]{5,}' <<<"$vm_text" | tail -n 1) bytes"
check 'root is written to' guest 'echo kept >/etc/kept && sync'

end_servers
guest 'echo 3 >/proc/sys/vm/drop_caches; (cat /usr/lib/x86_64-linux-gnu/*.so* | md5sum >/run/sum; echo read >/run/read) &' || :
sleep 5 # not by the guest, which has no program for it but on the root
check 'a reader waits for the web server' guest '[ ! -e /run/read ]'
start_nginx "$port" "$work/www" 'location / { }'
check 'and reads when it is back' guest 'for i in $(seq 100); do [ -e /run/read ] && break; sleep 1; done; [ -e /run/read ]'
check 'the same bytes as before' guest \
	'cat /usr/lib/x86_64-linux-gnu/*.so* | md5sum | cmp - /run/sum; cat /etc/kept'
vm_off

# nothing listens there
end_servers
vm_panic='' boot_net cloopw.wait=3
vm_expect 'waiting for the image: .*cannot be read' 300 || stop 'it does not say what it waits for'
ok 'it says what it waits for'
vm_expect 'cannot attach the image: .*cannot be read' 60 || stop 'it does not end the wait'
ok 'and ends the wait with a shell'
vm_kill
rm -f "$work/initrd"
