# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# Changes are kept in a file on a second disk: over a clean shutdown, and over a
# power cut in the middle of writing.

boot() {
	boot_rw cloopw.cow=LABEL=CLOOPW-RW:/cloopw/changes.cow
}

make_rw 512M
make_extra

boot
install_package
check 'a file is written' guest 'echo kept >/etc/kept'
vm_off
check 'the file system of the COW file was unmounted' \
	sh -c "dumpe2fs -h '$work/rw.img' 2>/dev/null | grep -q 'state: *clean' &&
		! dumpe2fs -h '$work/rw.img' 2>/dev/null | grep -q needs_recovery"

boot
check 'the second boot sees the file' guest 'grep -x kept /etc/kept'
guest 'mount -r LABEL=EXTRA /mnt' || :
has_package
vm_type 'sh /mnt/write-on'
vm_expect 'fsynced 8 ' 120 || stop 'nothing is written'
sleep $((RANDOM % 3))
vm_kill
ok 'power cut in the middle of writing'

boot
check 'it is all there' guest 'grep -x kept /etc/kept'
guest 'mount -r LABEL=EXTRA /mnt' || :
has_package
tr -d '\r' <"$work/console.2" | sed -n 's/^fsynced [0-9]* //p' >"$work/sums"
echo "live $case: $(wc -l <"$work/sums") fsynced files"
while read -r sum file; do
	check "fsynced file $file is intact" guest "echo '$sum  $file' | sha256sum -c -"
done <"$work/sums"
check 'the root is read-write' guest 'touch /root/x'
check 'no file system complains' guest '! dmesg | grep -iE "ext4-fs.*error|i/o error|corrupt"'
vm_off

# the whole state, seen from outside
mkdir "$work/out"
debugfs -R "dump /cloopw/changes.cow $work/out/changes.cow" "$work/rw.img" 2>/dev/null
"$top/build/bin/mkcloopw" -q --cow "$work/out/changes.cow" "$live/root.cloopw" \
	"$work/out/merged.cloopw"
"$top/build/bin/mkcloopw" -q -x "$work/out/merged.cloopw" "$work/out/root.img"
check 'its root file system is clean' sh -c \
	"e2fsck -fn '$work/out/root.img' >'$work/fsck.log' 2>&1"
rm -r "$work/out"
