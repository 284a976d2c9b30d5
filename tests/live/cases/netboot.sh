# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# "make netboot": a machine without a disk boots by PXE from a web server. Its record makes
# an image in the order of the boot. Another machine keeps what it fetched.

# shellcheck source=tests/net/lib.sh
. "$top/tests/net/lib.sh"
trap 'cleanup; end_servers' EXIT
make -s -C "$top" netboot DIR="$work/www" >/dev/null
port=$(free_port)
chmod 755 "$work" "$work/www"
chmod 644 "$work"/www/*
cd "$work" || exit
start_nginx "$port" "$work/www" 'location / { }'
server=http://10.0.2.2:$port

# fetched: bytes that the guest's server process fetched
fetched() {
	guest 'cloopwsetup -ln --raw -O net-fetched | sed s/^/bytes=/'
	[[ $vm_text =~ bytes=([0-9]+) ]]
	echo "${BASH_REMATCH[1]}"
}

# ---- by PXE ----

vm_mem=1536 vm_start -boot n -netdev "user,id=net,bootfile=$server/boot.ipxe" \
	-device virtio-net-pci,netdev=net
vm_login 900
check 'its image is at the URL' guest "[ \$(cloopwsetup -ln -O image) = $server/root.cloopw ]"
plain=$(fetched)
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
guest 'cloopwsetup --record /run/order /dev/cloopw0' || fail 'there is no record'
guest 'echo order-begins; gzip -c /run/order | base64 -w 76; echo order-ends' || :
sed -n '/^order-begins/,/^order-ends/p' <<<"$vm_text" | grep -xE '[A-Za-z0-9+/=]{1,76}' |
	base64 -d | gunzip >"$work/order"
check 'the record has blocks' test "$(grep -c '^[0-9]' "$work/order")" -gt 100
# for tests/fleet
cp "$work/order" "$top/build/live/netboot.order"
mkdir -p "$top/build/netboot"
cp "$work/www/root.cloopw" "$top/build/netboot/"
vm_off

# ---- in the order of the boot, with a cache ----

"$top/build/bin/mkcloopw" -q --order "$work/order" "$work/www/root.cloopw" \
	"$work/www/ordered.cloopw"
chmod 644 "$work/www/ordered.cloopw"
mke2fs -q -t ext4 -L CACHE "$work/cache.img" 512M

# boot_cached WHAT: with the cache of the boots before; sets bytes
boot_cached() {
	vm_options=(-kernel "$vm_kernel" -initrd "$work/www/initrd.img" -append
		"root=cloopw cloopw.image=$server/ordered.cloopw cloopw.netcache=LABEL=CACHE:/cloopw/cache
			ip=dhcp panic=-1 $vm_console")
	vm_options[5]=${vm_options[5]//[$'\n\t']/ }
	vm_mem=1024 vm_start "${vm_options[@]}" \
		-netdev user,id=net -device virtio-net-pci,netdev=net \
		-drive "file=$work/cache.img,format=raw,if=virtio"
	vm_login 600
	bytes=$(fetched)
	echo "live $case: $1: login after $((SECONDS - vm_started)) s, $bytes bytes fetched"
}
echo "live $case: by PXE, in no order: $plain bytes fetched"
boot_cached 'in the order of the boot'
check 'an ordered image needs 25 MB' test "$bytes" -le 25000000
check 'and half of what another needs' test $((bytes * 2)) -le "$plain"
check 'the cache is on the disk' guest '[ -s /run/initramfs/cloopw/cache/cloopw/cache ]'
vm_off
boot_cached 'a second time'
# what this boot reads and the first did not is fetched
check 'the second boot fetches next to nothing' test "$bytes" -le 2000000
vm_off
