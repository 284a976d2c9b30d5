# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Writing: the COW log (codec none and lz4) against dm-snapshot (persistent,
# 4 KiB chunks) over loop, the COW a file on tmpfs, a file on the ext4 of a
# virtio disk, or that whole disk; how large a COW gets; and many small files
# against overlayfs.
#
# disk 0: for COWs; disks 1 and 2: get what the device holds at last, for qcow2;
# disk 3: an empty ext4; disk 4: a real ext4 with files to copy; disk 5: a tar
# of a source tree. What fio writes is 60 % compressible.

parameter() {
	sed -n "s/.*$1=\([a-z0-9,]*\).*/\1/p" /proc/cmdline
}

# wants PART: of what was asked for
wants() {
	[ ! "$parts" ] || [[ ",$parts," = *",$1,"* ]]
}

runs=$(parameter cloopw_runs)
parts=$(parameter cloopw_parts)
modprobe -a loop cloopw dm-mod dm-snapshot overlay squashfs
export DM_DISABLE_UDEV=1
mib=256 # of the device that fio writes to
mkdir -p ram host mnt tree
mount -t tmpfs -o size=2500M tmpfs ram
defer umount ram
defer 'umount host 2>/dev/null || :'
truncate -s ${mib}M ram/base
cow_disk=$(disk 0)
# nothing left for later, no holes in the host's file
no_surprise=nodiscard,lazy_itable_init=0,lazy_journal_init=0

# ---- devices with a COW ----
#
# Each way to have one: attach_WAY BASE COW prints the device.

attach_log() {
	cloopwsetup -c "$2" --cow-format log --cow-codec "$3" /dev/cloopw0 "$1" >&2
	echo /dev/cloopw0
}
attach_none() { attach_log "$1" "$2" none; }
attach_lz4() { attach_log "$1" "$2" lz4; }
attach_uml() {
	cloopwsetup -c "$2" --cow-format uml /dev/cloopw0 "$1" >&2
	echo /dev/cloopw0
}

attach_dm() {
	local base cow=$2
	base=$(losetup -r --show -f "$1")
	if [ ! -b "$cow" ]; then
		[ -e "$cow" ] || truncate -s 2200M "$cow"
		cow=$(losetup --show -f "$cow")
	fi
	dmsetup create snap --table \
		"0 $(blockdev --getsz "$base") snapshot $base $cow P 8"
	echo /dev/mapper/snap
}

detach() {
	case $1 in
	dm)
		dmsetup remove snap
		losetup -D ;;
	*) cloopwsetup -d /dev/cloopw0 ;;
	esac
}

# fresh_cow PLACE WAY: prints where a new COW goes; nothing is there. In dm's
# file on the disk all blocks have been written, which is the best for it: it
# never allocates.
fresh_cow() {
	umount host 2>/dev/null || :
	rm -f ram/cow
	case $1-$2 in
	tmpfs-*)
		echo ram/cow ;;
	whole-*)
		dd if=/dev/zero of="$cow_disk" bs=1M count=1 status=none
		echo "$cow_disk" ;;
	disk-*)
		mke2fs -q -F -t ext4 -E "$no_surprise" "$cow_disk"
		mount "$cow_disk" host
		[ "$2" != dm ] || dd if=/dev/zero of=host/cow bs=1M \
			count=$((mib * 2)) conv=fsync status=none
		echo host/cow ;;
	esac
}

# ---- speed ----

cold() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# fio_value FIELD DEVICE OPTIONS...: a field of fio's terse output
fio_value() {
	local field=$1 device=$2
	shift 2
	fio --name=w --filename="$device" --randseed=1 --refill_buffers \
		--buffer_compress_percentage=60 --output-format=terse \
		--terse-version=3 "$@" | cut -d ';' -f "$field"
}

# sequential NAME DEVICE: MB/s to write it all, until it is safe
sequential() {
	local start end
	cold
	start=${EPOCHREALTIME/./}
	fio_value 48 "$2" --rw=write --bs=256k --direct=1 --ioengine=libaio \
		--iodepth=4 --size=${mib}M --end_fsync=1 >/dev/null
	end=${EPOCHREALTIME/./}
	bench_value "$1" "$((mib * 1048576 * 10 / (end - start)))" x0.1MB/s
}

read_back() {
	local start end
	cold
	start=${EPOCHREALTIME/./}
	dd if="$2" of=/dev/null bs=1M status=none
	end=${EPOCHREALTIME/./}
	bench_value "$1" "$((mib * 1048576 * 10 / (end - start)))" x0.1MB/s
}

random() {
	bench_value "$1" "$(fio_value 49 "$2" --rw=randwrite --bs=4k \
		--direct=1 --ioengine=libaio --iodepth=8 --runtime=5 \
		--time_based)" /s
}

synced() {
	bench_value "$1" "$(fio_value 49 "$2" --rw=randwrite --bs=4k \
		--ioengine=psync --fsync=1 --runtime=5 --time_based)" /s
}

# speed PLACE WAY: each on a new COW, but reading
speed() {
	local place=$1 way=$2 device
	device=$("attach_$way" ram/base "$(fresh_cow "$place" "$way")")
	sequential "${place}_seq_$way" "$device"
	read_back "${place}_read_$way" "$device"
	detach "$way"
	device=$("attach_$way" ram/base "$(fresh_cow "$place" "$way")")
	random "${place}_rand_$way" "$device"
	detach "$way"
	device=$("attach_$way" ram/base "$(fresh_cow "$place" "$way")")
	synced "${place}_fsync_$way" "$device"
	detach "$way"
}

# ---- size ----

allocated() {
	echo $(($(stat -c '%b * %B' "$1")))
}

kib() {
	bench_value "$1" "$(($2 / 1024))" KiB
}

# What is written: fill_WHAT DIRECTORY, once it is prepared.
prepare_share() { mount -o ro "$(disk 4)" tree; }
fill_share() { cp -a tree/usr/share "$1/tree"; }
prepare_source() { :; }
fill_source() {
	mkdir "$1/tree"
	tar -x -f "$(disk 5)" -C "$1/tree" --no-same-owner
}

# written WHAT WAY: an ext4 over a new COW with it; leaves it attached
written() {
	device=$("attach_$2" ram/empty "$(fresh_cow tmpfs "$2")")
	mount "$device" mnt
	"fill_$1" mnt
	umount mnt
	sync
}

# size WHAT DISK: what each way needs for it; what the device has then to DISK
size() {
	local what=$1 device used
	"prepare_$what"
	cp --sparse=always "$(disk 3)" ram/empty
	written "$what" dm
	used=$(dmsetup status snap | sed 's,.* \([0-9]*\)/.*,\1,')
	kib "${what}_dm" "$((used * 512))"
	detach dm
	written "$what" uml
	kib "${what}_uml" "$(allocated ram/cow)"
	detach uml
	written "$what" lz4
	kib "${what}_lz4" "$(allocated ram/cow)"
	dd if="$device" of="$(disk "$2")" bs=1M conv=sparse status=none
	mount "$device" mnt
	rm -r mnt/tree
	sync
	fstrim mnt
	kib "${what}_trimmed" "$(allocated ram/cow)"
	kib "${what}_live" "$(cat /sys/block/cloopw0/cloopw/cow_live_bytes)"
	umount mnt
	detach lz4
	rm ram/empty ram/cow
	umount tree 2>/dev/null || :
}

# Random 4 KiB writes over 64 MiB, twenty times as many as it has.
bound() {
	local device live
	device=$(attach_lz4 ram/base "$(fresh_cow tmpfs lz4)")
	fio_value 49 "$device" --rw=randwrite --bs=4k --direct=1 \
		--ioengine=libaio --iodepth=8 --size=64M --io_size=1280M \
		--norandommap >/dev/null
	live=$(cat /sys/block/cloopw0/cloopw/cow_live_bytes)
	kib bound_live "$live"
	kib bound_file "$(allocated ram/cow)"
	kib bound_allowed "$((live * 3 / 2 + (8 << 20)))"
	detach lz4
}

# ---- many files ----

# files NAME DIRECTORY: seconds to make 50,000 empty files and delete them
files() {
	local start middle end
	mkdir "$2/many"
	cold
	start=${EPOCHREALTIME/./}
	seq -f "$2/many/%.0f" 50000 | xargs touch
	sync
	middle=${EPOCHREALTIME/./}
	rm -r "$2/many"
	sync
	end=${EPOCHREALTIME/./}
	bench_value "files_made_$1" "$(((middle - start) / 1000))" ms
	bench_value "files_deleted_$1" "$(((end - middle) / 1000))" ms
	bench_value "files_$1" "$(((end - start) / 1000))" ms
}

many_files() {
	local device
	truncate -s 512M ram/ext2
	mke2fs -q -F -t ext2 -i 4096 ram/ext2
	device=$(attach_lz4 ram/ext2 "$(fresh_cow tmpfs lz4)")
	mount -t ext2 "$device" mnt
	files cloopw mnt
	umount mnt
	detach lz4
	rm ram/cow

	mkdir -p ram/lower ram/upper ram/squash merged
	mksquashfs ram/lower ram/lower.squashfs -no-progress -quiet
	mount -o ro,loop ram/lower.squashfs ram/squash
	mount -t ext2 -o loop ram/ext2 ram/upper
	mkdir ram/upper/files ram/upper/work
	mount -t overlay -o "lowerdir=ram/squash,upperdir=ram/upper/files,workdir=ram/upper/work" \
		overlay merged
	files overlayfs merged
	umount merged ram/upper ram/squash
	rm ram/ext2 ram/lower.squashfs
}

for ((run = 0; run < runs; run++)); do
	for place in tmpfs disk whole; do
		wants "$place" || continue
		for way in dm none lz4; do
			speed "$place" "$way"
		done
	done
	! wants files || many_files
done
rm -f ram/cow
! wants bound || bound
rm ram/base
! wants share || size share 1
! wants source || size source 2
