# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# wants: ublk_drv
#
# A medium that loses what was written to it, below the COW of a device by ublk. A later
# server does not hide the loss.

# shellcheck disable=SC2034  # of what is sourced
driver=ublk_drv
# shellcheck source=tests/vm/lib/flaky.sh
. /cloopw/lib/flaky.sh
# shellcheck source=tests/vm/lib/ublkd.sh
. /cloopw/lib/ublkd.sh
make_medium 128 32
head -c 4M /dev/urandom >data
allow_console 'I/O error|Buffer|dm-|lost|device-mapper'

attach() { cloopwsetup --userspace=ublk -c "$medium" "$dev" base.cloopw; }
state_is() { test "$(cloopwsetup -ln -O state | tr -d ' ')" = "$1"; }
write_it() { dd if=data of="$dev" bs=64k oflag=direct conv=notrunc status=none; }
flush_it() { blockdev --flushbufs "$dev" && dd if=data of="$dev" bs=4k count=1 conv=notrunc,fsync status=none; }
read_it() { dd if="$dev" of=/dev/null bs=64k count=1 iflag=direct status=none; }

# ---- nobody has flushed, and the writeback of a killed server fails ----

must "attach" attach
check "written, and flushed" flush_it
check "written, and not flushed" write_it
fails_from 0
check "its server is killed: another one goes on" kill_worker
check "which says that it has failed" wait_for 40 state_is failed
heals
refuses "a flush is an error, though the medium is well again" 'error' flush_it
refuses "no other program takes over" 'its COW has failed' cloopwsetup --takeover "$dev"
check "a read works" read_it
check "killed once more, another one goes on" kill_worker
check "and has failed, too" wait_for 40 state_is failed
refuses "a flush is an error still" 'error' flush_it
check "both are killed" kill_both
check "that is kept in mind" wait_for 40 state_is failed
detach
must "attached again" attach
check "it is well" wait_for 40 state_is ok
check "and is written" flush_it
check "detach" cloopwsetup -d "$dev"
check "the COW is sound" cloopwck "$medium"

# ---- the flush of a server fails, which is killed then ----

must "attach" attach
check "written" write_it
fails_from 0
refuses "the flush is an error" 'error' flush_it
heals
check "its server is killed: another one goes on" kill_worker
refuses "a flush is an error still" 'error' flush_it
check "and the state tells it" wait_for 40 state_is failed
detach
must "attached again" attach
check "and is written" flush_it
check "detach" cloopwsetup -d "$dev"
