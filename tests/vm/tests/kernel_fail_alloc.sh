# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# kernel: debug
#
# An allocation of the driver fails in what it is asked: to attach, flush, set the cache,
# take a snapshot and detach. That succeeds without the memory, or ends with an error that
# the tool tells; what was written is there. "nth" fails one allocation of the tool's
# process: each of the first 8, then in steps of an eighth (10, 12, 14, 16, 19...). "every"
# fails each N-th of anybody, so also of the driver's workers, N in the same steps. A walk
# ends where nothing failed: a flush and a change of the cache allocate nothing.
# cloopw_allocs=all on the kernel's command line leaves none out.

# shellcheck source=tests/vm/lib/failing.sh
. /cloopw/lib/failing.sh
part=8
! grep -q cloopw_allocs=all /proc/cmdline || part=1000000

# nth N COMMAND...: the process fails at its N-th allocation
nth() { (
	echo "$1" >/proc/self/fail-nth
	shift
	exec "$@"
); }
# every N COMMAND...: about the N-th of anybody fails, as of the driver's workers
every() {
	local status=0 n=$1
	shift
	set_all interval "$n"
	set_all probability 100
	"$@" || status=$?
	calm
	return $status
}

attach() { cloopwsetup --cow-format "$format" -c "$1" $dev image; }
# told STATUS: a failure has a sentence with the reason, and no signal is its end
told() {
	[ "$1" = 0 ] && return
	[ "$1" -lt 126 ] && grep -q '^cloopwsetup: .*Cannot allocate memory' err && return
	echo "status $1: $(cat err)"
	return 1
}

# walk NAME WAY COMMAND...: until there is no N-th allocation; before and after are
# functions, and after gets the command's status
walk() {
	local name=$1 way=$2 n tried=0 failed=0 status
	shift 2
	for ((n = 1; n < 20000; n += 1 + n / part)); do
		before || return
		arm
		status=0
		"$way" $n "$@" 2>err || status=$?
		[ "$(injected failslab fail_page_alloc)" != 0 ] || break
		tried=$((tried + 1))
		[ $status = 0 ] || failed=$((failed + 1))
		if ! told $status || ! after $status; then
			echo "at $n of $name"
			return 1
		fi
		sort err >>all_errors
	done
	echo "$name: N up to $n, $tried tried, and the command failed $failed times," \
		"$SECONDS s" >>walked
}
# a device that was not attached is attached at the next step, at the last one in any case
walk_attach() {
	before() { rm -f cow; }
	after() {
		if [ "$1" != 0 ]; then
			! is_attached
			return
		fi
		is_ok && put && holds && ends && cloopwck -q cow image
	}
	walk "$format: attach" nth cloopwsetup --cow-format "$format" -c cow $dev image
	put && holds && ends
}
walk_change() {
	local name=$1 way=$2
	shift 2
	before() { put; }
	after() { is_ok && holds; }
	walk "$format: $name, $way" "$way" "$@"
}
walk_snapshot() {
	before() {
		is_attached && [ ! -e $sys/layers/1 ] && return
		ends && rm -f cow2 cow3 && attach cow2 && put
	}
	after() {
		is_ok && holds && put && holds || return
		[ "$1" = 0 ] || [ ! -e $sys/layers/1 ]
	}
	walk "$format: snapshot, $1" "$1" cloopwsetup --snapshot cow3 $dev
	ends
}
walk_detach() {
	before() {
		is_attached || attach cow2 || return
		put
	}
	after() { ends && cloopwck -q cow2 image; }
	walk "$format: detach, $1" "$1" cloopwsetup -d $dev
	ends
}

# shellcheck disable=SC2016  # expanded at the end
defer 'diag "$(cat walked)"'
for format in log uml; do
	check "$format: attach" walk_attach
	rm -f cow
	must "$format: attached" attach cow
	for way in nth every; do
		check "$format: flush, $way" walk_change flush $way cloopwsetup --flush $dev
		check "$format: set-cache, $way" \
			walk_change set-cache $way cloopwsetup --set-cache 2M $dev
	done
	must "$format: detached" ends
	[ $format = uml ] || for way in nth every; do
		check "$format: snapshot, $way" walk_snapshot $way
	done
	rm -f cow2
	for way in nth every; do
		check "$format: detach, $way" walk_detach $way
	done
done
diag "$(sed 's/[0-9]\+/N/g' all_errors | sort | uniq -c | sort -rn | head -n 20)"
