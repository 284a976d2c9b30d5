# shellcheck shell=bash disable=SC2154  # what runcase is given
# SPDX-License-Identifier: GPL-2.0
#
# A virtual machine whose serial console is read and typed at, as a person would. The
# sourcing script has set $top and $work (a directory of its own).

# ---- results ----

passed=0 failed=0

ok() {
	passed=$((passed + 1))
	echo "live $case: ok $*"
}

fail() {
	failed=$((failed + 1))
	echo "live $case: not ok $*"
}

# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@"; then
		ok "$name"
	else
		fail "$name"
	fi
}

# stop REASON: nothing more can be told of this case
stop() {
	fail "$*"
	echo "---- end of the console of $case" >&2
	tail -n 40 "$vm_log" | tr -d '\r' >&2
	exit 1
}

# ---- the machine ----

vm_pid='' vm_log=/dev/null vm_seen=0 vm_count=0 vm_boots=0 vm_last=()

# vm_start QEMU-OPTIONS...: $vm_mem MiB (512)
vm_start() {
	vm_last=("$@")
	vm_boots=$((vm_boots + 1))
	vm_log=$work/console.$vm_boots
	vm_seen=0
	rm -f "$work/keys" "$vm_log"
	mkfifo "$work/keys"
	: >"$vm_log"
	exec {vm_keys}<>"$work/keys"
	# tests/vm/run has the same options, and the reasons. Without svm, udev does not
	# load kvm. kvm's patching of the kernel's text takes the emulator so long on a
	# busy machine that the kernel reports soft lockups. Without la57, a kernel that
	# unpacks itself stays with 4 levels of page tables. With 5, 6.12.117 takes
	# addresses of its own for bad ones in this emulator (/proc/mounts has x for
	# names). timeout: the end, should all else fail.
	timeout --foreground -k 5 1500 qemu-system-x86_64 \
		-accel "${CLOOPW_QEMU_ACCEL:-tcg,thread=multi}" \
		-cpu "${CLOOPW_QEMU_CPU:-max,-erms,-fsrm,-svm,-la57}" \
		-machine q35 -smp "${vm_cpus:-1}" -m "${vm_mem:-512}" -display none \
		-nodefaults -no-user-config -no-reboot -serial stdio \
		-monitor "unix:$work/monitor,server,nowait" \
		"$@" <"$work/keys" >"$vm_log" 2>"$work/qemu.log" &
	vm_pid=$!
	vm_started=$SECONDS
}

# Parameters of each kernel that boots without a boot loader. noirqtime: see
# vm_boot_again; then no interrupt runs what is being patched.
vm_console='console=ttyS0,115200 tsc=reliable tsc=noirqtime quiet'

# direct CMDLINE: QEMU options for the kernel and initramfs of the ISO without a boot
# loader. An ELF kernel need not unpack itself, which takes the emulator long. vm_panic=
# for the initramfs' shell, which there is none of with panic=.
direct() {
	vm_options=(-kernel "$vm_kernel" -initrd "$live/root.boot/initrd.img"
		-append "root=cloopw $* ${live_driver:+cloopw.driver=$live_driver}
			${vm_panic-panic=-1} $vm_console")
	vm_options[5]=${vm_options[5]//[$'\n\t']/ }
}

vm_alive() {
	kill -0 "$vm_pid" 2>/dev/null
}

# vm_new: what the console has said since it was last looked at, by lines
vm_new() {
	tr -d '\r\0' <"$vm_log" | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g' |
		tail -n "+$((vm_seen + 1))"
}

# vm_expect REGEX SECONDS: waits for a line on the console; false if it does not
# come. $vm_text is what came until then, with that line; what came after it is
# still to be looked at.
vm_expect() {
	local end=$((SECONDS + $2)) new line
	while :; do
		new=$(vm_new)
		if line=$(grep -anE -m 1 -- "$1" <<<"$new"); then
			line=${line%%:*}
			vm_text=$(head -n "$line" <<<"$new")
			vm_seen=$((vm_seen + line))
			return
		fi
		vm_alive || [ "$SECONDS" -ge "$end" ] || end=$SECONDS
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

vm_type() {
	printf '%s\n' "$*" >&"$vm_keys"
}

# guest COMMAND...: a line for the shell on the console; its status. Its output is in
# $vm_text. guest_seconds is how long it may take.
guest() {
	local mark
	vm_count=$((vm_count + 1))
	mark=done-$vm_count
	# two lines; the echo of the second must not look like the answer
	vm_type "$*"
	vm_type "echo ${mark%-*}''-$vm_count=\$?"
	vm_expect "^$mark=[0-9]+" "${guest_seconds:-120}" ||
		stop "no answer to: $*"
	[[ $vm_text =~ $mark=([0-9]+) ]]
	return "${BASH_REMATCH[1]}"
}

# vm_boot_again SECONDS: the kernel patches sched_clock_cpu() long before anything of
# ours. One emulated processor may then run code that the other has half patched (int3).
# About one boot in 20 ended so. It is begun anew.
vm_boot_again() {
	local left=3
	while vm_expect 'root@live:~#|Oops: int3' "$1"; do
		if ! grep -aq 'Oops: int3' "$vm_log"; then
			vm_seen=0 # who waits for it is to see it
			return
		fi
		left=$((left - 1))
		[ $left -gt 0 ] || return
		! grep -aq 'Run /init\|Welcome to\|cloopw:' "$vm_log" || return
		echo "live $case: the emulator lost its way in boot $vm_boots;" \
			"again" >&2
		vm_kill
		mv "$vm_log" "$vm_log.lost"
		vm_boots=$((vm_boots - 1))
		vm_start "${vm_last[@]}"
	done
}

# vm_login SECONDS: until the shell of the automatic login answers
vm_login() {
	vm_boot_again "$1" || :
	vm_expect 'root@live:~#' "$1" ||
		stop "no login after $((SECONDS - vm_started)) s"
	vm_booted=$((SECONDS - vm_started))
	guest "stty -echo cols 1000; export TERM=dumb PS1= LC_ALL=C" ||
		stop 'the shell does not obey'
	ok "systemd login after $vm_booted s"
	[ "${live_driver-}" != ublk ] || check 'the root is on ublk' guest \
		'findmnt -n -o SOURCE / | grep -x "/dev/ublkb[0-9]*"'
}

# medium OPTIONS...: live/build's, as the driver is a parameter of its menu
medium() {
	make -s -C "$top" iso LIVE_OPTIONS="${live_driver:+--append cloopw.driver=$live_driver} $*"
}

# make_rw SIZE: $work/rw.img, an empty disk LABEL=CLOOPW-RW for changes
make_rw() {
	truncate -s "$1" "$work/rw.img"
	mke2fs -q -t ext4 -L CLOOPW-RW "$work/rw.img"
}

# boot_rw PARAMETERS...: the system of the ISO with $work/rw.img, and with the disk
# EXTRA when it was made
boot_rw() {
	direct "cloopw.image=LABEL=CLOOPW:/live/root.cloopw" "$@"
	with cdrom "$live.iso"
	with disk "$work/rw.img"
	[ ! -e "$work/extra.img" ] || with disk "$work/extra.img" readonly=on
	vm_start "${vm_options[@]}"
	vm_login 300
}

# vm_off: a clean shutdown, and what it has to say
vm_off() {
	vm_type 'systemctl poweroff'
	if ! vm_expect 'the medium can be removed' 180; then
		stop 'the shutdown did not free the medium'
	fi
	check 'shutdown: flushed and detached' \
		grep -aq 'cloopw0 is detached, all changes are flushed' "$vm_log"
	vm_wait_off 60
}

vm_wait_off() {
	local end=$((SECONDS + $1))
	while vm_alive; do
		[ "$SECONDS" -lt "$end" ] || stop 'the machine does not go off'
		sleep 0.2
	done
	vm_gone
}

# vm_kill: the plug is pulled. timeout ends when QEMU has, and not before it: the
# next one wants the locks of its disks.
vm_kill() {
	local qemu
	qemu=$(ps -o pid= --ppid "$vm_pid") || :
	if [ "$qemu" ]; then
		kill -KILL "$((qemu))" 2>/dev/null || :
	else
		kill -KILL "$vm_pid" 2>/dev/null || :
	fi
	vm_gone
}

vm_gone() {
	wait "$vm_pid" 2>/dev/null || :
	vm_pid=
	exec {vm_keys}>&-
}

# ---- the machine's options ----

# disk FILE [FORMAT-OPTIONS]: QEMU options for a virtio disk
disk() {
	printf '%s\n' -drive "if=virtio,format=raw,discard=unmap,file=$1${2:+,$2}"
}

# with OPTIONS...: adds the lines of standard input to the array vm_options
with() {
	local line
	while IFS= read -r line; do
		vm_options+=("$line")
	done < <("$@")
}

cdrom() {
	printf '%s\n' -drive "if=none,id=cd,media=cdrom,readonly=on,format=raw,file=$1" \
		-device ide-cd,drive=cd
}

# make_deb DIR: a package with a service, as somebody would install it
make_deb() {
	local tree=$work/hello
	mkdir -p "$tree/DEBIAN" "$tree/lib/systemd/system" "$tree/usr/share/hello"
	cat >"$tree/DEBIAN/control" <<-END
		Package: cloopw-hello
		Version: 1
		Architecture: all
		Maintainer: nobody <nobody@localhost>
		Description: a service to install
	END
	cat >"$tree/DEBIAN/postinst" <<-'END'
		#!/bin/sh
		set -e
		systemctl daemon-reload
		systemctl enable --now cloopw-hello.service
	END
	chmod 755 "$tree/DEBIAN/postinst"
	cat >"$tree/lib/systemd/system/cloopw-hello.service" <<-'END'
		[Service]
		ExecStart=/bin/sleep infinity
		[Install]
		WantedBy=multi-user.target
	END
	head -c 3M /dev/urandom >"$tree/usr/share/hello/data"
	dpkg-deb --root-owner-group -b "$tree" "$1/cloopw-hello.deb" >/dev/null
	sha256sum <"$tree/usr/share/hello/data" >"$1/sum"
	rm -r "$tree"
}

# make_extra: a disk LABEL=EXTRA with the package and tests/live/guest
make_extra() {
	[ ! -e "$work/extra.img" ] || return 0
	mkdir "$work/extra"
	make_deb "$work/extra"
	cp "$top"/tests/live/guest/* "$work/extra/"
	mke2fs -q -t ext4 -L EXTRA -d "$work/extra" "$work/extra.img" 32M
}

# install_package: in the guest, from the disk EXTRA
install_package() {
	check 'the disk with the package' guest 'mount -r LABEL=EXTRA /mnt'
	check 'dpkg installs it' guest 'dpkg -i /mnt/cloopw-hello.deb'
	has_package
}

has_package() {
	check 'its service runs' guest 'systemctl is-active cloopw-hello.service'
	check 'its files are whole' guest \
		'sha256sum </usr/share/hello/data | cmp - /mnt/sum'
}

# other_initramfs FILE PACKAGE COMMAND: an initramfs of another program. COMMAND, for
# the shell, runs in a copy of the system's root that has PACKAGE, and leaves the
# initramfs in /initrd. $release is the kernel's.
other_initramfs() {
	local root=$work/root release status=0
	release=$(cat "$live/root.boot/release")
	rm -rf "$root"
	cp -a "$live/root" "$root"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	mount -t proc proc "$root/proc"
	{
		DEBIAN_FRONTEND=noninteractive chroot "$root" sh -c "apt-get update &&
			apt-get install -y --no-install-recommends $2" &&
			release=$release chroot "$root" sh -ec "$3"
	} >"$work/$2.log" 2>&1 || status=$?
	umount "$root/proc"
	[ $status = 0 ] || stop "there is no initramfs with $2: see $work/$2.log"
	mv "$root/initrd" "$1"
	rm -rf "$root"
}
