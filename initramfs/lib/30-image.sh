# shellcheck shell=sh disable=SC2034,SC2154  # of the other parts
# SPDX-License-Identifier: GPL-2.0
#
# root=cloopw: the image, where it is, in RAM, its check.

# cw_network: brings it up for an image at a URL. The initramfs that can do so has a
# function of its own.
cw_network() {
	cw_reason="this initramfs brings up no network for $cw_image_url"
	return 1
}

# cw_open_cache: sets cw_cache, where --net-cache keeps what was fetched. Without a place
# for it the boot goes on, because the web server has everything.
cw_open_cache() {
	cw_cache=''
	[ "$cw_cache_device" ] || return 0
	if cw_mount_cache; then
		cw_cache=$cw_dir/cache$cw_cache_path
		return
	fi
	cw_loud "GOING ON WITHOUT THE CACHE cloopw.netcache=$cw_cache_device:$cw_cache_path:" \
		"$cw_reason"
	cw_reason=
}

# cw_mount_cache: false with cw_reason
cw_mount_cache() {
	if ! cw_node=$(cw_wait_for "$cw_cache_device" 'medium of the cache'); then
		cw_reason="$cw_cache_device is not there. There are: $(cw_list_devices)"
		return 1
	fi
	cw_mount_or_same "$cw_node" "$cw_dir/cache" rw || return
	cw_is_plain "$cw_dir/cache" "$cw_cache_path" || return
	if ! cw_can_write "$cw_dir/cache" ||
		! mkdir -p "$cw_dir/cache${cw_cache_path%/*}"; then
		cw_reason="$cw_cache_device ($cw_node) cannot be written"
		return 1
	fi
}

# cw_find_image: mounts the medium, unless the image is a whole partition or at a URL.
# Sets cw_image, cw_medium_node, and cw_reason on failure.
cw_find_image() {
	cw_image=''
	if [ "$cw_image_url" ]; then
		cw_network || return
		cw_open_cache
		cw_image=$cw_image_url
		return
	fi
	if ! cw_medium_node=$(cw_wait_for "$cw_image_device" 'live medium'); then
		cw_reason="the live medium $cw_image_device is not there. Is it"
		cw_reason="$cw_reason plugged in? There are: $(cw_list_devices)"
		return 1
	fi
	if [ ! "$cw_image_path" ]; then
		cw_image=$cw_medium_node
		return
	fi
	cw_mount_or_same "$cw_medium_node" "$cw_dir/medium" ro || return
	cw_is_plain "$cw_dir/medium" "$cw_image_path" || return
	cw_image=$cw_dir/medium$cw_image_path
	if [ ! -f "$cw_image" ]; then
		cw_image=''
		cw_reason="there is no file $cw_image_path on $cw_image_device"
		cw_reason="$cw_reason ($cw_medium_node)"
		umount "$cw_dir/medium"
		return 1
	fi
}

# cw_need_image: finds it again when it was forgotten
cw_need_image() {
	[ "$cw_image" ] || cw_find_image
}

# cw_forget_media: what was mounted may have been exchanged while there was a
# shell. An image in RAM needs no medium.
cw_forget_media() {
	for cw_word in persistent medium cache; do
		! cw_is_mounted "$cw_dir/$cw_word" ||
			umount "$cw_dir/$cw_word" 2>/dev/null || :
	done
	[ "$cw_image" = "$cw_dir/ram/root.cloopw" ] || cw_image=''
}

# cw_list_devices: for a message
cw_list_devices() {
	for cw_word in /sys/class/block/*; do
		cw_word=${cw_word##*/}
		case $cw_word in
		ram* | loop* | cloopw* | '*' | fd*) continue ;;
		esac
		# only text may go to a terminal
		cw_label=$(blkid -c /dev/null -o value -s LABEL "/dev/$cw_word" |
			tr -cd '[:print:]')
		printf '%s ' "/dev/$cw_word${cw_label:+ (LABEL=$cw_label)}"
	done
}

cw_size_kib() {
	if [ -b "$1" ]; then
		cw_name=$(readlink -f "$1")
		echo $(($(cat "/sys/class/block/${cw_name##*/}/size") / 2))
	else
		echo $((($(stat -c %s "$1") + 1023) / 1024))
	fi
}

# cw_meminfo NAME: KiB
cw_meminfo() {
	sed -n "s/^$1: *\([0-9]*\) kB\$/\1/p" /proc/meminfo
}

# cw_copy_to_ram: of the image; it stays where it is when there is no room
cw_copy_to_ram() {
	cw_need=$(cw_size_kib "$cw_image")
	cw_have=$(cw_meminfo MemAvailable)
	if [ $((cw_need + 65536)) -gt "$cw_have" ]; then
		cw_loud "cloopw.toram: the image has $((cw_need / 1024)) MiB," \
			"$((cw_have / 1024)) MiB of memory are free: it is" \
			"used from the medium, which must stay plugged in"
		return 0
	fi
	cw_say "copying the image to RAM ($((cw_need / 1024)) MiB)"
	mkdir -p "$cw_dir/ram"
	mount -t tmpfs -o "mode=700,size=$((cw_need + 1024))k" tmpfs "$cw_dir/ram"
	if ! cp "$cw_image" "$cw_dir/ram/root.cloopw"; then
		umount "$cw_dir/ram"
		cw_loud "cloopw.toram: the image could not be copied, it is" \
			"used from the medium"
		return 0
	fi
	# The COW knows its image by UUID, or by the time of its file.
	touch -r "$cw_image" "$cw_dir/ram/root.cloopw"
	mount -o remount,ro "$cw_dir/ram"
	cw_image=$cw_dir/ram/root.cloopw
	if cw_is_mounted "$cw_dir/medium" && umount "$cw_dir/medium"; then
		cw_say "the medium $cw_image_device is not needed any more"
	fi
}

# cw_check_image: reads every block; the driver compares the checksums
cw_check_image() {
	cw_say "checking the image, block by block"
	cw_need_image || return
	cw_as_is=y cw_status=0
	cw_attach -r || cw_status=1
	cw_as_is=''
	[ $cw_status = 0 ] || return
	if dd if="$cw_device" of=/dev/null bs=1M 2>"$cw_dir/check.log"; then
		cw_say "CHECK PASSED: every block of" \
			"$cw_image_device:$cw_image_path is intact"
	else
		cw_reason="CHECK FAILED: the image is damaged, blocks cannot be"
		cw_reason="$cw_reason read; 'dmesg' names them. Write the"
		cw_reason="$cw_reason medium anew"
		cloopwsetup -d "$cw_device"
		return 1
	fi
	cloopwsetup -d "$cw_device"
}
