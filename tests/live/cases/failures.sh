# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The boot names each thing that it cannot have, and never falls back silently.

vm_panic=
image=cloopw.image=LABEL=CLOOPW:/live/root.cloopw
start() {
	direct "$@" cloopw.wait=3
	with cdrom "$live.iso"
	vm_start "${vm_options[@]}"
}

expect() {
	if vm_expect "$2" 120; then
		ok "$1"
	else
		stop "$1"
	fi
}

start cloopw.image=LABEL=NOWHERE:/live/root.cloopw
expect 'it waits for the medium, and says so' 'waiting for the live medium, LABEL=NOWHERE'
expect 'it names what is missing' 'the live medium LABEL=NOWHERE is not there'
expect 'and gives a shell' '\(initramfs\)'
vm_kill

start "$image" cloopw.cow=LABEL=NOWHERE:/cow
expect 'no persistence is said loudly' 'CHANGES CANNOT BE KEPT .*LABEL=NOWHERE is not there'
expect 'and stops' 'Stopped, because cloopw.nopersist=ram'
expect 'in a shell' '\(initramfs\)'
vm_type 'touch /run/cloopw-ram; exit'
expect 'from where it can go on in RAM' 'GOING ON IN RAM'
vm_login 300
vm_off

start "$image" cloopw.cow=LABEL=NOWHERE:/cow cloopw.nopersist=ram
expect 'with nopersist=ram it is said' 'CHANGES CANNOT BE KEPT'
expect 'and goes on in RAM' 'GOING ON IN RAM'
vm_login 300
check 'the reason is kept' guest 'grep NOWHERE /run/initramfs/cloopw/not-persistent'
vm_kill

start "$image" cloopw.toram cloopw.check cloopw.cwo=ram
expect 'a wrong parameter is named' 'cloopw.cwo=ram: there is no such parameter'
vm_kill

vm_mem=1024 start "$image" cloopw.check cloopw.ro
expect 'the check passes' 'CHECK PASSED'
vm_login 400
check 'read-only' guest 'findmnt -n -o OPTIONS / | grep -q ^ro'
check 'nothing failed' guest 'systemctl --failed --no-legend; [ -z "$(systemctl --failed --no-legend)" ]'
vm_off
