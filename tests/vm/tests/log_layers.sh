# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Layers: snapshots while fio writes and verifies, the chain that -c finds, one
# frozen layer under two devices, going back to an older one, and what is refused.

must "the module loads" modprobe cloopw
defer rmmod cloopw

dev=/dev/cloopw0
layers=/sys/block/cloopw0/cloopw/layers
defer 'cloopwsetup -D 2>/dev/null || :'

truncate -s 24M raw
mkfs.ext4 -q -F raw
mkcloopw -q raw image
mkdir mnt

# fill FILE: 8 KiB that only this name gives
fill() {
	{ yes "$1" || :; } | head -c 8192 # yes ends by SIGPIPE
}
# put NAME PLACE: writes it there, 8 KiB apart
put() {
	fill "$1" | dd of=$dev bs=8k seek="$2" conv=notrunc,fsync status=none
}
# holds NAME PLACE DEVICE
holds() {
	dd if="$3" bs=8k skip="$2" count=1 iflag=direct status=none | cmp - <(fill "$1")
}

# ---- a chain by snapshots ----

must "attach" cloopwsetup -c a.cow $dev image
chain() {
	put one 0
	put two 1
	cloopwsetup --snapshot b.cow $dev
	put three 1
	cloopwsetup --snapshot c.cow $dev
	put four 2
	holds one 0 $dev
	holds three 1 $dev
	holds four 2 $dev
	test "$(cat $layers/*/path)" = "$PWD/c.cow
$PWD/b.cow
$PWD/a.cow"
	test "$(cat $layers/*/format)" = "log
log
log"
	cloopwsetup -l -J -O cow,cow_format $dev | tr -d ' \n' | grep -qF '["log","log","log"]'
	cloopwsetup -d $dev
}
check "snapshots keep what was there and show what is" chain

found() {
	mkdir -p moved
	mv a.cow b.cow c.cow moved
	mv moved/a.cow moved/renamed.cow
	cloopwsetup -c moved/c.cow $dev image
	holds one 0 $dev
	holds three 1 $dev
	holds four 2 $dev
	cloopwsetup -d $dev
	mv moved/renamed.cow a.cow
	mv moved/b.cow moved/c.cow .
}
check "the files below are found, moved and renamed" found

refuses "a frozen layer as the top" 'b.cow: is frozen.*-c NEW -c THIS' \
	cloopwsetup -c b.cow $dev image
mkdir elsewhere
mv a.cow elsewhere/away
refuses "a chain with a hole" 'b.cow: lies over the COW file a.cow .*not there' \
	cloopwsetup -c c.cow $dev image
cp --sparse=always c.cow a.cow
refuses "a chain with the wrong file in it" 'b.cow: lies over the COW file a.cow .*has UUID' \
	cloopwsetup -c c.cow $dev image
refuses "the wrong layers by hand" 'c.cow' cloopwsetup -c c.cow -c elsewhere/away $dev image
rm a.cow
check "a parent that is elsewhere can be named" \
	cloopwsetup -c c.cow -c b.cow -c elsewhere/away $dev image
check "and detached" cloopwsetup -d $dev
mv elsewhere/away a.cow

# ---- back, and shared ----

back() {
	cloopwsetup -r -c b.cow $dev image
	holds three 1 $dev
	test "$(cat /sys/block/cloopw0/ro)" = 1
	cloopwsetup -d $dev
	cloopwsetup -c d.cow -c a.cow $dev image
	holds two 1 $dev
	put five 1
}
check "an older layer is read, and a new one put over it" back
shared() {
	cloopwsetup -c c.cow /dev/cloopw1 image
	holds three 1 /dev/cloopw1
	holds five 1 $dev
	cloopwsetup --snapshot e.cow $dev
	cloopwsetup -c f.cow -c d.cow /dev/cloopw2 image
	holds five 1 /dev/cloopw2
	fill six | dd of=/dev/cloopw2 bs=8k seek=1 conv=notrunc,fsync status=none
	holds five 1 $dev
	cloopwsetup -D
}
check "one layer under three devices" shared

# ---- snapshots that are refused ----

must "attach again" cloopwsetup -c e.cow $dev image
refuses "a file that is there" 'e.cow: is there already' cloopwsetup --snapshot e.cow $dev
must "a file system on it" mkfs.ext4 -q -F $dev
refuses "a new layer on the device itself" 'lies on .* itself' bash -euc "
	mount $dev mnt
	trap 'umount mnt' EXIT
	cloopwsetup --snapshot mnt/new.cow $dev"
check "nothing was left of it" test ! -e mnt/new.cow
refuses "an idle device" 'has no image' cloopwsetup --snapshot new.cow /dev/cloopw3
must "detach" cloopwsetup -d $dev
must "attach read-only" cloopwsetup -r -c e.cow $dev image
refuses "a device that is read-only" 'read-only.*without -r' cloopwsetup --snapshot new.cow $dev
must "detach it" cloopwsetup -d $dev
must "a UML COW file" cloopwsetup --cow-format uml -c u.cow $dev image
refuses "a UML COW file that is in use" 'cannot be frozen.*-c NEW -c THIS' \
	cloopwsetup --snapshot new.cow $dev
put seven 3
must "detach the UML COW file" cloopwsetup -d $dev
over_uml() {
	cloopwsetup -c g.cow -c u.cow $dev image
	holds seven 3 $dev
	cloopwsetup -d $dev
}
check "but a layer can lie over it" over_uml
check "no file was left behind" test ! -e new.cow

hostile() {
	local verdict name results=0
	while read -r verdict name; do
		case $verdict in
		ok) ok "snapshot: $name" ;;
		not) fail "${name#ok }" "see output.log" ;;
		esac
		results=$((results + 1))
	done < <(cloopw-hostile snapshot $dev image)
	check "there were hostile ones" test "$results" -gt 0
}
must "attach for hostile ones" cloopwsetup -c h.cow $dev image
hostile
must "detach after hostile ones" cloopwsetup -d $dev

# ---- a new layer on a block device ----

modprobe loop
mkdir media # so that what is on a disk is not found beside the files
truncate -s 64M media/blank.img media/taken.img
truncate -s 1M media/small.img
mkfs.ext4 -q -F media/taken.img
loops=()
for file in blank small taken; do
	loop=$(losetup -f --show media/$file.img)
	defer "losetup -d $loop"
	loops+=("$loop")
done
must "attach for a layer on a disk" cloopwsetup -c disk0.cow $dev image
put eight 4
refuses "one on a disk that holds something" 'holds something that is no COW' \
	cloopwsetup --snapshot "${loops[2]}" $dev
refuses "one on a disk that is too small" '1.0 MiB, a COW needs' \
	cloopwsetup --snapshot "${loops[1]}" $dev
on_disk() {
	cloopwsetup --snapshot "${loops[0]}" $dev
	test "$(cat $layers/*/path)" = "${loops[0]}
$PWD/disk0.cow"
	put nine 5
	holds eight 4 $dev
	holds nine 5 $dev
	cloopwsetup -d $dev
	cloopwsetup -c "${loops[0]}" -c disk0.cow $dev image
	holds eight 4 $dev
	holds nine 5 $dev
}
check "one on a blank disk" on_disk
refuses "a disk that is a layer already" 'is there already' \
	cloopwsetup --snapshot "${loops[0]}" $dev
must "a file system is as it was" e2fsck -fn media/taken.img
over_disk() {
	cloopwsetup --snapshot disk2.cow $dev
	put ten 6
	cloopwsetup -d $dev
	cloopwsetup -c disk2.cow -c "${loops[0]}" -c disk0.cow $dev image
	holds nine 5 $dev
	holds ten 6 $dev
	cloopwsetup -d $dev
}
check "and one over that, which is named" over_disk
refuses "what is on a disk is not beside a file" 'not there beside it' \
	cloopwsetup -c disk2.cow $dev image

# ---- made into one, and an image; not while they are written ----

must "attach the chain" cloopwsetup -c c.cow $dev image
refuses "a layer that is written is not merged" "c.cow: is in use by $dev; detach it" \
	mkcloopw --merge c.cow merged.cow
refuses "nor committed" "c.cow: is in use by $dev; detach it" \
	mkcloopw --cow c.cow image new.cloopw
refuses "nor attached again, for reading" "c.cow: is in use by $dev" \
	cloopwsetup -r -c c.cow /dev/cloopw1 image
check "the frozen ones below are merged meanwhile" mkcloopw -q --merge b.cow ab.cow
must "detach the chain" cloopwsetup -d $dev
made_one() {
	cloopwsetup -r -c c.cow $dev image
	sha256sum <$dev >sum
	cloopwsetup -d $dev
	mkcloopw -q --cow c.cow image new.cloopw
	cloopwsetup -r $dev new.cloopw
	sha256sum <$dev | cmp - sum
	cloopwsetup -d $dev
	cloopwsetup -r -c c.cow -c ab.cow $dev image
	sha256sum <$dev | cmp - sum
	cloopwsetup -d $dev
	mkcloopw -q --merge c.cow --merge ab.cow abc.cow
	cloopwsetup -c abc.cow $dev image
	sha256sum <$dev | cmp - sum
	put eleven 7
	holds eleven 7 $dev
	cloopwsetup -d $dev
}
check "committed and merged" made_one

# ---- while it is in use ----

under_load() {
	local i
	cloopwsetup -c load0.cow $dev image
	fio --name=load --filename=$dev --rw=randrw --bsrange=4k-32k \
		--size=16M --io_size=24M --direct=1 --ioengine=libaio --iodepth=8 \
		--verify=crc32c --verify_backlog=64 --fsync=32 --randrepeat=0 >fio.log 2>&1 &
	for i in 1 2 3 4 5; do
		sleep 2
		cloopwsetup --snapshot load$i.cow $dev
	done
	wait $! || {
		cat fio.log
		return 1
	}
	sha256sum <$dev >sum
	cloopwsetup -d $dev
	cloopwsetup -c load5.cow $dev image
	test "$(echo "$layers"/*)" = "$(printf "$layers/%s " 0 1 2 3 4 5 | sed "s/ $//")"
	sha256sum <$dev | cmp - sum
	cloopwsetup -d $dev
}
check "five snapshots while fio writes and verifies" under_load
