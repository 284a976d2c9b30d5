# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: the README's tour, step by step, with checks.

mkdir -p medium mnt
mount "$(disk 0)" medium
defer umount medium
cd medium || exit
defer cd ..
image=debian.cloopw

show() {
	diag "\$ $*"
}

show cloopwsetup -c cow.img /dev/cloopw0 "$image"
must "attached, writable" cloopwsetup -c cow.img /dev/cloopw0 "$image"
show mount /dev/cloopw0 /mnt
must "mounted read-write" mount /dev/cloopw0 ../mnt
diag "$(cloopwsetup -l)"

show chroot /mnt dpkg -i hello-cloopw.deb
make_package() {
	mkdir -p ../mnt/tmp/p/DEBIAN ../mnt/tmp/p/usr/bin
	cat >../mnt/tmp/p/DEBIAN/control <<-END
		Package: hello-cloopw
		Version: 1
		Architecture: all
		Maintainer: nobody <nobody@example.org>
		Description: proof that the root is writable
	END
	printf '#!/bin/sh\necho hello from a writable compressed root\n' \
		>../mnt/tmp/p/usr/bin/hello-cloopw
	chmod 755 ../mnt/tmp/p/usr/bin/hello-cloopw
	chroot ../mnt dpkg-deb -Zgzip -b /tmp/p /tmp/hello-cloopw.deb
	chroot ../mnt dpkg -i /tmp/hello-cloopw.deb
}
must "a package is installed into it" make_package
must "64 MiB of files are written" cp -r ../mnt/usr/lib/x86_64-linux-gnu \
	../mnt/srv/copy
must "a directory is deleted" rm -r ../mnt/usr/share/doc
written=$(awk '{ print $7 * 512 }' /sys/block/cloopw0/stat)
show umount /mnt
must "unmounted" umount ../mnt
written=$(awk '{ print $7 * 512 }' /sys/block/cloopw0/stat)
show cloopwsetup -d /dev/cloopw0
must "detached" cloopwsetup -d /dev/cloopw0

show cloopwsetup -c cow.img /dev/cloopw0 "$image"
must "attached again" cloopwsetup -c cow.img /dev/cloopw0 "$image"
must "mounted again" mount /dev/cloopw0 ../mnt
show chroot /mnt hello-cloopw
must "the package is there" \
	sh -c 'chroot ../mnt hello-cloopw | grep -q "writable compressed root"'
must "the copied files are there, byte for byte" \
	diff -r ../mnt/usr/lib/x86_64-linux-gnu ../mnt/srv/copy
must "what was deleted is gone" test ! -e ../mnt/usr/share/doc
must "unmounted" umount ../mnt
must "the file system is clean" e2fsck -fn /dev/cloopw0
raw=$(blockdev --getsize64 /dev/cloopw0)
must "detached" cloopwsetup -d /dev/cloopw0
sync

bench_value raw "$raw" bytes
bench_value compressed "$(stat -c %s "$image")" bytes
bench_value written "$written" bytes
bench_value cow "$(($(stat -c %b cow.img) * 512))" bytes
