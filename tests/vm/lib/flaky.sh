# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Sourced by tests whose medium begins to fail: the driver, an image, and a device
# "medium" of dm on the test's first disk, $size MiB long, whose table changes while it
# is in use. $driver serves it, cloopw at first. Sets $dev, $mib and $medium; makes the
# directory host.

modprobe -a "${driver:=cloopw}" dm-mod dm-flakey
defer "cloopwsetup -D; rmmod $driver"
dev=/dev/cloopw0
# shellcheck disable=SC2034  # of who sources this
mib=$((1 << 20))

# medium_becomes LINES: the medium's table
medium_becomes() {
	dmsetup --noudevsync suspend --noflush --nolockfs medium
	dmsetup --noudevsync load medium
	dmsetup --noudevsync resume medium
}
heals() { echo "0 $((size * 2048)) linear $(disk 1) 0" | medium_becomes; }
# fails_from MIB: writes from there on fail
fails_from() {
	local disk
	disk=$(disk 1)
	{
		[ "$1" = 0 ] || echo "0 $(($1 * 2048)) linear $disk 0"
		echo "$(($1 * 2048)) $(((size - $1) * 2048)) flakey" \
			"$disk $(($1 * 2048)) 0 3600 1 error_writes"
	} | medium_becomes
}
# detach: an error of what was written is told, and then it is gone all the same
detach() { cloopwsetup -d "$dev" || cloopwsetup -d "$dev" || :; }

# make_medium MIB IMAGE_MIB: it, and base.cloopw
make_medium() {
	size=$1
	# an earlier test's data is no COW, and would be kept
	blkdiscard -f -z -l "${size}M" "$(disk 1)"
	truncate -s "$2M" raw
	mkcloopw -q raw base.cloopw
	dmsetup --noudevsync create medium \
		--table "0 $((size * 2048)) linear $(disk 1) 0"
	defer 'dmsetup --noudevsync remove medium'
	# shellcheck disable=SC2034
	medium=/dev/$(dmsetup info -c --noheadings -o blkdevname medium)
	mkdir host
}
