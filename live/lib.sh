# shellcheck shell=bash disable=SC2154  # what build sets
# SPDX-License-Identifier: GPL-2.0
#
# The stages of live/build. Each leaves what it made in $work, with a hash of
# what it was made from, and does nothing when that has not changed.

# ---- stages ----

# stage NAME INPUTS...: false when the stage was done with the same inputs; then
# they are kept as soon as stage_done is called
stage() {
	stage_name=$1
	stage_hash=$(printf '%s\n' "$@" | cat - "$here/lib.sh" | sha256sum)
	[ "$(cat "$work/.$stage_name" 2>/dev/null)" != "$stage_hash" ] ||
		return 1
	rm -f "$work/.$stage_name"
}

stage_done() {
	echo "$stage_hash" >"$work/.$stage_name"
}

# ---- the root file system ----

# default_kernel SUITE: 6.12 at least
default_kernel() {
	case $1 in
	bookworm) echo linux-image-6.12-amd64 ;;
	*) echo linux-image-amd64 ;;
	esac
}

# local_repository: our packages, for apt
local_repository() {
	local repo=$work/repo
	rm -rf "$repo"
	mkdir "$repo"
	ln "$top/build/deb/$suite"/*.deb "$repo/" 2>/dev/null ||
		cp "$top/build/deb/$suite"/*.deb "$repo/"
	(cd "$repo" && dpkg-scanpackages -m . >Packages 2>/dev/null)
	echo "deb [trusted=yes] copy:$repo ./"
}

overlay_hash() {
	[ "${#overlays[@]}" = 0 ] ||
		tar -c --sort=name "${overlays[@]}" 2>/dev/null | sha256sum
}

# remove_root DIR: a build that was killed leaves the machine's own /dev in it
remove_root() {
	local at
	at=$(realpath -m "$1")
	findmnt -rno TARGET | grep -F "$at/" | sort -r | while IFS= read -r mounted; do
		umount -l "$mounted"
	done
	rm -rf --one-file-system "$at"
}

make_root() {
	local root=$work/root include directory command options=()
	local sources=("${mirrors[@]}")
	stage root "$suite" "$kernel" "${packages[*]}" "${mirrors[*]}" \
		"${runs[*]}" "$(overlay_hash)" "$(cat "$here/customize" "$here"/*secrets*)" "$login" "${netboot:+net}" \
		"$(cat "$top/build/deb/$suite/.hash")" || [ ! -d "$root" ] || return 0
	include=$(printf '%s,' "$kernel" zstd systemd-sysv udev kmod busybox \
		initramfs-tools e2fsprogs login cloopw-tools \
		cloopw-initramfs "${packages[@]}")
	[ "${#sources[@]}" -gt 0 ] || mapfile -t sources < <(default_mirrors)
	for directory in "${overlays[@]}"; do
		options+=("--customize-hook=copy-in '$directory'/* /")
	done
	for command in "${runs[@]}"; do
		options+=("--customize-hook=chroot \"\$1\" sh -ec '$command'")
	done
	step "a Debian root file system: $suite, $kernel ${packages[*]}"
	remove_root "$root"
	# The module is built outside, as a live system needs no compiler. The
	# lists of packages can be had again by apt update. INITRD=No: the kernel's
	# package need not make an initramfs, customize does, at the end.
	if ! INITRD=No mmdebstrap --variant=minbase --include="${include%,}" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--customize-hook="'$here/customize' settings \"\$1\" $login ${netboot:+net}" \
		"${options[@]}" \
		--customize-hook="'$here/customize' boot \"\$1\" '$root.boot'" \
		"$suite" "$root" "${sources[@]}" "$(local_repository)" >"$work/root.log" 2>&1; then
		tail -n 15 "$work/root.log" >&2
		die "mmdebstrap failed; all it said is in $work/root.log"
	fi
	find_keys "$root"
	stage_done
}

# find_keys ROOT: what the user brought is in each copy; that is said
find_keys() {
	local keys
	keys=$("$here/secrets" find "$1")
	[ ! "$keys" ] || printf '%s\n' \
		'live: each copy of this system has these private keys:' "$keys" >&2
}

# default_mirrors: Debian's, with updates: there are the newest kernels
default_mirrors() {
	local mirror=http://deb.debian.org/debian
	echo "deb $mirror $suite main"
	case $suite in
	sid | unstable) ;;
	*)
		echo "deb $mirror $suite-updates main"
		echo "deb $mirror-security $suite-security main" ;;
	esac
}

# ---- the image ----

order_hash() {
	local at
	for ((at = 1; at < ${#orders[@]}; at += 2)); do
		sha256sum <"${orders[at]}" || die "--order ${orders[at]}: cannot be read"
	done
}

make_image() {
	local root=$work/root size
	stage image "$(cat "$work/.root")" "$free" "$codec" "$(order_hash)" \
		"$(stat -c '%s %Y' "$top/build/bin/mkcloopw")" || return 0
	step "its image"
	size=$(du -s --apparent-size -B 4096 "$root" | cut -f 1)
	# a quarter more for the file system itself
	size=$((size * 4096 * 5 / 4 + $(numfmt --from=iec "$free")))
	rm -f "$work/root.img"
	mke2fs -q -t ext4 -L root -m 1 \
		-E lazy_itable_init=0,lazy_journal_init=0 \
		-d "$root" "$work/root.img" $((size / 1024))k
	"$top/build/bin/mkcloopw" -q -f -c "$codec" "${orders[@]}" \
		"$work/root.img" "$work/root.cloopw" || die 'mkcloopw failed'
	rm -f "$work/root.img"
	stage_done
}

# ---- the medium ----

# make_medium: the tree that is on it
make_medium() {
	local tree=$work/medium
	stage medium "$(cat "$work/.image")" "$label" "$persistent" "$append" \
		"$(cat "$here/grub.cfg")" || return 0
	rm -rf "$tree"
	mkdir -p "$tree/live" "$tree/boot/grub" "$tree/.disk"
	ln "$work/root.cloopw" "$tree/live/root.cloopw"
	cp "$work/root.boot/vmlinuz" "$work/root.boot/initrd.img" "$tree/boot/"
	menu "${persistent:-CLOOPW-RW}" >"$tree/boot/grub/grub.cfg"
	# the signed GRUB looks for a medium with this file
	echo "$name" >"$tree/.disk/info"
	make_efi "$tree/efi.img"
	stage_done
}

# make_netboot DIR: what a web server needs. Machines that read nothing but what is there
# already see a whole file in each moment.
make_netboot() {
	local file
	mkdir -p "$1"
	for file in "$work/root.boot/vmlinuz" "$work/root.boot/initrd.img" "$work/root.cloopw"; do
		cp "$file" "$1/.new"
		mv "$1/.new" "$1/${file##*/}"
	done
	ipxe >"$1/boot.ipxe"
}

# ipxe: a script that finds the other files beside itself. Older iPXEs know their script's
# URL and not its directory, and the oldest only what DHCP said.
ipxe() {
	cat <<-END
		#!ipxe
		# $name: made by live/build --netboot. See docs/howto/netboot.md.
		isset \${filename} && set base \${filename}/../ ||
		isset \${cwuri} && set base \${cwuri}/../ ||
		isset \${cwduri} && set base \${cwduri} ||
		kernel vmlinuz initrd=initrd.img root=cloopw cloopw.image=\${base}root.cloopw cloopw.cow=ram ip=dhcp quiet console=tty0 console=ttyS0,115200${append:+ $append}
		initrd initrd.img
		boot
	END
}

# make_efi FILE: the file system that firmware looks into for a loader
make_efi() {
	grub_early
	rm -f "$1"
	mkfs.vfat -C "$1" $(($(du -s -B 1024 "$work/root.boot/efi" | cut -f 1) + 1024)) >/dev/null
	mmd -i "$1" ::/boot ::/boot/grub
	mcopy -i "$1" "$work/early.cfg" ::/boot/grub/grub.cfg
	put_loader "$1"
}

# put_loader FILESYSTEM: for UEFI
put_loader() {
	mmd -i "$1" ::/EFI ::/EFI/BOOT
	mcopy -i "$1" "$work"/root.boot/efi/* ::/EFI/BOOT/
}

# menu PERSISTENT: grub.cfg
menu() {
	sed -e "s/@LABEL@/$label/g" -e "s/@PERSISTENT@/$1/g" -e "s/@NAME@/$name/g" \
		-e "s|@APPEND@|${append:+ ${append//[&|]/\\&}}|" "$here/grub.cfg"
}

# make_iso FILE: for CD, DVD, and sticks it is written to as it is; BIOS, UEFI.
# grub-mkrescue's own GRUB for UEFI is not signed, so it makes the one for BIOS alone.
make_iso() {
	stage iso "$(cat "$work/.medium")" "$1" || [ ! -e "$1" ] || return 0
	step "$1"
	rm -f "$1"
	grub-mkrescue -d /usr/lib/grub/i386-pc -o "$1" "$work/medium" -volid "$label" \
		--efi-boot efi.img -efi-boot-part --efi-boot-image \
		>"$work/iso.log" 2>&1 || {
		tail -n 10 "$work/iso.log" >&2
		die "grub-mkrescue failed; all it said is in $work/iso.log"
	}
	stage_done
}

# make_stick FILE SIZE: a disk with one FAT32 partition. GRUB for BIOS lies in the
# sectors before it, and finds its blocks there by itself. The loader for UEFI has the
# name that firmware looks for.
make_stick() {
	local file=$1 size=$2 start=2048 part
	stage stick "$(cat "$work/.medium")" "$1" "$2" || [ ! -e "$1" ] || return 0
	step "$file"
	rm -f "$file"
	truncate -s "$size" "$file"
	echo "start=$start, type=c, bootable" | sfdisk -q "$file"
	grub_bios "$file"
	part=$file@@$((start * 512))
	mkfs.vfat -F 32 -n "$label" --offset=$start "$file" \
		$((($(stat -c %s "$file") - start * 512) / 1024)) >/dev/null
	menu "${persistent:-$label}" >"$work/grub.cfg"
	put_loader "$part"
	mcopy -i "$part" -s "$work/medium/live" "$work/medium/boot" ::/ ||
		die "$size is too small for the stick: see --stick"
	mcopy -i "$part" -o "$work/grub.cfg" ::/boot/grub/grub.cfg
	stage_done
}

grub_modules='part_msdos part_gpt fat normal linux configfile echo test search
	search_label ls halt reboot serial terminal all_video gfxterm'

grub_early() {
	cat >"$work/early.cfg" <<-END
		search --no-floppy --label --set=root $label
		set prefix=(\$root)/boot/grub
		configfile /boot/grub/grub.cfg
	END
}

grub_bios() {
	local dir=/usr/lib/grub/i386-pc
	grub_early
	# shellcheck disable=SC2086  # words
	grub-mkimage -O i386-pc -d "$dir" -c "$work/early.cfg" \
		-p /boot/grub -o "$work/core.img" biosdisk $grub_modules
	[ "$(stat -c %s "$work/core.img")" -lt $((2047 * 512)) ] ||
		die 'GRUB does not fit before the partition'
	# not over the partition table, which is at 446
	dd if="$dir/boot.img" of="$1" bs=1 count=440 conv=notrunc status=none
	dd if="$work/core.img" of="$1" bs=512 seek=1 conv=notrunc status=none
}
