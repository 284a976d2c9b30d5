# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What a device takes of the machine: memory that counts as reclaimable and has one
# limit for all devices, requests as long as they may be, and whose reads they are.

must "the modules load" modprobe -a cloopw loop
defer 'cloopwsetup -D; rmmod cloopw'
dev=/dev/cloopw0
sys=/sys/block/cloopw0
limit=/sys/module/cloopw/parameters/cache_limit
mib=$((1 << 20))

head -c 48M /dev/urandom >raw
must "an image" mkcloopw -q -b 65536 raw image

# ---- the cache ----

# reclaimable: bytes of what is none of slab; each processor has a part of the count
reclaimable() {
	cat /proc/sys/vm/stat_refresh
	awk -v page="$(page_size)" \
		'$1 == "nr_kernel_misc_reclaimable" { print $2 * page }' /proc/vmstat
}
cached() { cat "/sys/block/cloopw$1/cloopw/cache_bytes"; }
# touch_all N: one small read in each cluster
touch_all() {
	fio --name=r --filename="/dev/cloopw$1" --readonly --rw=read:60k --bs=4k \
		--direct=1 --ioengine=psync --size=48m --io_size=3m --minimal
}
near() { test $(($1 - $2)) -le $mib && test $(($2 - $1)) -le $mib; }
available() { awk '$1 == "MemAvailable:" { print $2 * 1024 }' /proc/meminfo; }

total=$(awk '$1 == "MemTotal:" { print $2 * 1024 }' /proc/meminfo)
check "by itself it is a quarter of the memory" near "$(cat $limit)" $((total / 4))
before=$(reclaimable)
must "attached" cloopwsetup $dev image
check "a device's own limit is that of all" \
	test "$(cat $sys/cloopw/cache_limit)" = "$(cat $limit)"
available_before=$(available)
must "read here and there" touch_all 0
held=$(cached 0)
available_after=$(available)
diag "$held bytes are cached, $(($(reclaimable) - before)) count as reclaimable," \
	"$((available_before - available_after)) less are available"
check "all of it is cached" test "$held" -ge $((40 * mib))
check "all that is cached counts as reclaimable" \
	near $(($(reclaimable) - before)) "$held"
echo 2 >/proc/sys/vm/drop_caches
check "it is given back" test "$(cached 0)" -lt $((held / 2))
check "what was given back is not counted" \
	near $(($(reclaimable) - before)) "$(cached 0)"

for i in 1 2; do
	must "attached, too: $i" cloopwsetup "/dev/cloopw$i" image
done
echo $((16 * mib)) >$limit
for i in 0 1 2; do
	must "read: $i" touch_all $i
done
three=$(($(cached 0) + $(cached 1) + $(cached 2)))
diag "of 16 MiB: $(cached 0), $(cached 1), $(cached 2)"
check "three devices have no more than the limit" test $three -le $((16 * mib))
check "and no less" test $three -ge $((15 * mib))
check "that is what counts" near $(($(reclaimable) - before)) $three
for i in 0 1; do
	check "who read before keeps some: $i" test "$(cached $i)" -ge $((2 * mib))
done
echo $((4 * mib)) >$limit
check "less, at once" test $(($(cached 0) + $(cached 1) + $(cached 2))) -le $((4 * mib))
echo 0 >$limit
check "the default is back" near "$(cat $limit)" $((total / 4))
refuses "no number" 'Invalid argument' bash -c "echo x >$limit"
must "all are detached" cloopwsetup -D
check "nothing counts any more" test "$(reclaimable)" = "$before"

# ---- requests ----

must "raw" cloopwsetup $dev raw
reads() { awk '{ print $1 }' $sys/stat; }
check "a MiB may have as many pieces as pages, and begin inside of one" \
	test "$(cat $sys/queue/max_segments)" -ge 257
n=$(reads)
dd if=$dev of=/dev/null bs=1M count=32 iflag=direct status=none
diag "$(($(reads) - n)) requests for 32 MiB"
check "a MiB is one request" test $(($(reads) - n)) -eq 32
must "detached" cloopwsetup -d $dev
for format in log uml; do
	must "$format: attached" cloopwsetup -c $format.cow --cow-format $format $dev image
	check "$format: pages may change while they are written" \
		test "$(cat $sys/queue/stable_writes)" = 0
	must "$format: detached" cloopwsetup -d $dev
done

# ---- what a UML COW holds ----

live() { cat $sys/cloopw/cow_live_bytes; }
must "uml: attached again" cloopwsetup -c uml.cow $dev image
check "uml: it is empty" test "$(live)" = 0
put() { dd if=raw of=$dev bs=4k oflag=direct conv=notrunc status=none "$@"; }
put count=256
put seek=5000 count=100
check "uml: what was written lives" test "$(live)" = $((356 * 4096))
put seek=50 count=10
dd if=raw of=$dev bs=512 seek=$((355 * 8)) count=3 oflag=direct conv=notrunc status=none
check "uml: what was overwritten only once" test "$(live)" = $((356 * 4096 + 3 * 512))
must "uml: detached" cloopwsetup -d $dev
must "uml: once more" cloopwsetup -c uml.cow $dev image
check "uml: so much lives still" test "$(live)" = $((356 * 4096 + 3 * 512))
must "uml: detached again" cloopwsetup -d $dev

# ---- whose reads they are ----

group=cgroup/reader
mkdir cgroup
mount -t cgroup2 none cgroup
defer umount cgroup
echo '+io +memory' >cgroup/cgroup.subtree_control
mkdir $group
defer 'wait_for 10 rmdir cgroup/reader'
below=$(losetup -f --show raw)
defer losetup -d "$below"
must "a device over another" cloopwsetup $dev "$below"
numbers=$(lsblk -dno MAJ:MIN "$below" | tr -d ' ')
in_group() { (
	echo $BASHPID >$group/cgroup.procs
	exec dd if=$dev of=/dev/null bs=1M count=24 iflag=direct status=none
); }
must "read in a group" in_group
bytes=$(sed -n "s/^$numbers .*rbytes=\([0-9]*\).*/\1/p" $group/io.stat)
file=$(awk '$1 == "file" { print $2 }' $group/memory.stat)
diag "the group has read ${bytes:-nothing}, $file bytes of files are its"
check "what lies below was read by the group" test "${bytes:-0}" -ge $((24 * mib))
check "it pays for the page cache" test "$file" -ge $((20 * mib))
