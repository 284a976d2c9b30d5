# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# COW files exchanged with uml_mkcow and uml_moo, and one of a User-mode Linux
# guest (tests/uml/run made it on the host; see tests/vm/check).

modprobe cloopw
defer rmmod cloopw
mkdir mnt

# Each of the guest's files, which it also left on the host.
files_are_there() {
	local file found=0
	while IFS= read -r file; do
		cmp "/uml/files/$file" "mnt/$file"
		found=$((found + 1))
	done < <(cd /uml/files && find . -type f)
	[ "$found" -gt 0 ]
}

mke2fs -q -t ext4 base 64M
must "uml_mkcow makes a COW file" uml_mkcow cow base
must "attached" cloopwsetup -c cow /dev/cloopw0 base
mount /dev/cloopw0 mnt
cp -r /cloopw mnt/files
dd if=/dev/urandom of=mnt/random bs=1M count=5 status=none
umount mnt
cat /dev/cloopw0 >shown
cloopwsetup -d /dev/cloopw0
must "uml_moo merges it" uml_moo -b base cow merged
same "merged: what the device showed" shown merged

must "a COW file of ours" cloopwsetup -c ours --cow-format uml /dev/cloopw0 base
dd if=shown of=/dev/cloopw0 bs=64k conv=fsync status=none
cloopwsetup -d /dev/cloopw0
must "uml_moo merges that" uml_moo -b base ours merged2
same "the same image" shown merged2

# The guest's COW asks for the time its base was last modified.
mkdir guest
cp /uml/base.img /uml/cow.img guest/
touch -d "@$(cat /uml/mtime)" guest/base.img
must "a User-mode Linux guest's COW is attached" \
	cloopwsetup -c guest/cow.img /dev/cloopw0 guest/base.img
check "its file system is clean" e2fsck -fn /dev/cloopw0
must "it is mounted" mount /dev/cloopw0 mnt
check "it shows what the guest wrote" files_are_there
umount mnt
cloopwsetup -d /dev/cloopw0
touch guest/base.img
refuses "over a base that has changed since" 'cow.img.*modified' \
	cloopwsetup -c guest/cow.img /dev/cloopw0 guest/base.img
