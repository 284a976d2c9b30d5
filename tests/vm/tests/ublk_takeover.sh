# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# cloopwsetup --takeover: another version of cloopw-ublkd takes the place of the one that
# serves a device in use. One that cannot leaves the device to the present server.

# shellcheck source=tests/vm/lib/ublkd.sh
. /cloopw/lib/ublkd.sh
modprobe ublk_drv
defer 'cloopwsetup -D; rmmod ublk_drv 2>/dev/null || :'
mkdir mnt
defer 'umount mnt 2>/dev/null || :'
program=$(readlink -f "$(command -v cloopw-ublkd)")
cp -p "$program" original
# shellcheck disable=SC2016  # the directory as it is then
defer "cp -p '$PWD/original' '$program.new'; mv '$program.new' '$program'"

truncate -s 64M raw
mkfs.ext4 -q raw
mkcloopw -q raw image.cloopw

# install_program FILE: as a package does it, under another inode
install_program() {
	cp -p "$1" "$program.new"
	mv "$program.new" "$program"
}
# install_script LINE...: a program that does this
install_script() {
	printf '%s\n' '#!/bin/sh' "$@" >script
	chmod 755 script
	install_program script
}
# is_served_by FILE: no process of the device has another program
is_served_by() {
	local pid
	for pid in $({ processes cloopw-ublkd; processes cloopw-watch; } | awk '{ print $2 }'); do
		cmp "/proc/$pid/exe" "$1" || return 1
	done
}
# keeps NAME REGEX: a takeover is refused so, and the same server goes on
keeps() {
	local before
	before=$(family)
	refuses "$1" "$2" cloopwsetup --takeover /dev/cloopw0
	check "$1: the present server goes on" test "$(family)" = "$before"
	check "$1: the device answers" \
		dd if=/dev/cloopw0 of=/dev/null bs=4k count=1 iflag=direct status=none
}

# ---- under load ----

must "attach" cloopwsetup --userspace=ublk -c cow /dev/cloopw0 image.cloopw
# another program in the bytes of the file, and the same in what it does
{ cat original; echo another version; } >newer
chmod 755 newer
fio --name=t --filename=/dev/cloopw0 --rw=randwrite --bs=4k --size=32M --verify=crc32c \
	--iodepth=4 --ioengine=libaio --direct=1 --time_based --runtime=20 --fsync=8 \
	--do_verify=1 >fio.log 2>&1 &
fio=$!
took=0
while kill -0 $fio 2>/dev/null && [ $took -lt 8 ]; do
	if [ $((took % 2)) = 0 ]; then install_program newer; else install_program original; fi
	cloopwsetup --takeover /dev/cloopw0 >said || break
	diag "$(cat said)"
	took=$((took + 1))
	sleep 1
done
check "a takeover says the version and the pause" \
	grep -qE '^/dev/cloopw0: [0-9.]+ goes on after a pause of [0-9]+ ms$' said
check "there were several" test $took -gt 3
if wait $fio; then
	ok "fio sees no error and no wrong byte over $took takeovers"
else
	fail "fio sees no error and no wrong byte over $took takeovers" "$(tail -5 fio.log)"
fi
check "the state is ok" test "$(cloopwsetup -ln -O state | tr -d ' ')" = ok
install_program newer
check "all devices at once" cloopwsetup --takeover all
check "all its processes have the new program" is_served_by newer
read -r server worker < <(family)
check "and nothing holds the old one" sh -c \
	"[ -d /proc/${server:-0}/fd ] && [ -d /proc/${worker:-0}/fd ] &&
		! ls -l /proc/$server/fd /proc/$worker/fd | grep '$program'"
check "a killed server goes on" kill_worker
check "a killed server and supervisor go on" kill_both
check "with the new program" is_served_by newer

# ---- what another server has to know ----

mkfs.ext4 -q /dev/cloopw0
mount /dev/cloopw0 mnt
cp -r /etc mnt/etc
check "a limit" cloopwsetup --cow-limit 48M /dev/cloopw0
check "a snapshot" cloopwsetup --snapshot top /dev/cloopw0
dd if=/dev/urandom of=mnt/data bs=64k count=160 conv=fsync status=none &
writer=$!
check "takeover of a mounted device with two layers" cloopwsetup --takeover /dev/cloopw0
check "who writes sees no error" wait_for 60 test ! -d /proc/$writer
wait $writer
check "both layers are there" sh -c "cloopwsetup -ln -O cow /dev/cloopw0 | grep -q 'top.*cow'"
check "it is written" cp -r /usr/lib/udev mnt/more
umount mnt

# ---- programs that cannot ----

install_script 'echo 0.0.9 1'
keeps "a lower version" 'has version 0\.0\.9, which is older than'
install_script 'echo 99.0.0 999'
keeps "another layout of the state" 'keeps the state of a device otherwise'
install_script 'echo "unknown parameter" >&2; exit 2'
keeps "a program that knows no takeover" 'does not say that it can take over'
# shellcheck disable=SC2016  # the script's own words
install_script 'for word; do case $word in cow=*) exit 2 ;; esac; done; echo 99.0.0 4'
keeps "a program that does not know an argument" 'does not say that it can take over'
head -c 1000 /dev/urandom >garbage
chmod 755 garbage
install_program garbage
keeps "a damaged program" 'cannot be run: Exec format error'
mv "$program" away
keeps "no program" 'cloopw-ublkd is not installed; its present server goes on'
mv away "$program"
# It starts, but its server finds no driver.
LC_ALL=C sed 's#/dev/ublk-control#/dev/ublk-missing#g' original >broken
chmod 755 broken
install_program broken
before=$(family)
refuses "a program whose server cannot go on" 'not taken over: .*ublk-missing' \
	cloopwsetup --takeover /dev/cloopw0
check "the program before does" wait_for 20 is_served_by newer
check "with another server" test "$(family)" != "$before"
check "which answers" test "$(cloopwsetup -ln -O state | tr -d ' ')" = ok
check "and goes on when it is killed" kill_worker
install_program original
refuses "a user without rights" 'of another user; run this as root' \
	chroot --userspec=65534:65534 / cloopwsetup --takeover /dev/cloopw0
read -r server worker < <(family)
kill -9 "$server"
refuses "a server without its supervisor" 'has lost its supervisor' \
	cloopwsetup --takeover /dev/cloopw0
kill -9 "$worker"
check "its watch starts both again" goes_on "$worker"
check "which can be taken over" cloopwsetup --takeover /dev/cloopw0
check "detach" cloopwsetup -d /dev/cloopw0
check "the layers are sound" cloopwck -c top -c cow image.cloopw
check "no process is left" test ! "$(processes cloopw-ublkd; processes cloopw-watch)"

# ---- a COW in memory, and an image that is the process's alone ----

must "attach with a COW in memory" cloopwsetup --userspace=ublk --ram=32M /dev/cloopw0 image.cloopw
dd if=/dev/urandom of=/dev/cloopw0 bs=1M count=8 conv=fsync status=none
sum=$(sha256sum </dev/cloopw0)
check "takeover" cloopwsetup --takeover all
check "it has all data" test "$sum" = "$(sha256sum </dev/cloopw0)"
check "detach" cloopwsetup -d /dev/cloopw0
refuses "a state that is none" 'is not the state of a server' \
	cloopw-ublkd image=image.cloopw state=0
refuses "a device that is not attached" 'cloopw0' cloopwsetup --takeover /dev/cloopw0
check "none at all" cloopwsetup --takeover all
