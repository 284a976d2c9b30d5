# shellcheck shell=sh disable=SC2016  # programs
# SPDX-License-Identifier: GPL-2.0
#
# cloopw-chroot undoes what it did, however it ends: run by tests/initramfs/run in an
# empty directory. Programs in bin stand in for those that want root.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"

# program NAME: its text comes on standard input
program() {
	{
		echo '#!/bin/sh'
		cat
	} >"bin/$1"
	chmod 755 "bin/$1"
}

mkdir bin
program id <<'END'
echo 0
END
program unshare <<'END'
while [ "$1" != "$0" ]; do
	case $1 in
	-m) shift ;;
	--propagation) shift 2 ;;
	*) break ;;
	esac
done
exec "$@"
END
program findmnt <<'END'
case $* in
*SOURCE*) echo /dev/root ;;
*FSTYPE*) echo ext4 ;;
*) echo ro,relatime ;;
esac
END
program cloopwsetup <<'END'
echo "cloopwsetup $*" >>"$LOG"
case $1 in
-f) echo /dev/cloopw7 ;;
esac
END
program mount <<'END'
[ "$1" != -t ] || mkdir -p "$(eval "echo \$$#")/etc"
END
program umount <<'END'
eval "rm -rf \"\$$#\"/*"
echo "umount $1" >>"$LOG"
END
# the shell in there, and what happens meanwhile
program chroot <<'END'
[ "$SIGNAL" = none ] || kill -"$SIGNAL" "$PPID"
exit 3
END
sed -e "s,/run/cloopw-chroot,$PWD/view,; s,\[ -b \"\$device\" \],true," \
	-e 's,\[ -e "$image" \],true,' "$1/tools/cloopw-chroot/cloopw-chroot" >cloopw-chroot
chmod 755 cloopw-chroot

export LOG="$PWD/log" SIGNAL
PATH=$PWD/bin:/usr/sbin:/usr/bin:/sbin:/bin
for word in none:3 HUP:129 INT:130 QUIT:131 TERM:143; do
	SIGNAL=${word%:*}
	: >log
	result=0
	./cloopw-chroot --root / true 2>said || result=$?
	is "$SIGNAL: status" "$result" "${word#*:}"
	is "$SIGNAL: undone" "$(tail -n 2 log | tr '\n' ' ')" \
		'umount -R cloopwsetup -d /dev/cloopw7 '
	is "$SIGNAL: nothing is left" "$(echo view*)" 'view*'
done

SIGNAL=none
: >log
./cloopw-chroot --root=/ --ram=64M true 2>said || :
is '--ram' "$(head -n 1 log)" 'cloopwsetup -f --show --ram=64M /dev/root'
: >log
./cloopw-chroot --root / --cow changes.cow true 2>said || :
is '--cow' "$(head -n 1 log)" 'cloopwsetup -f --show -c changes.cow /dev/root'
is '--cow: said where' "$(tail -n 1 said)" 'cloopw-chroot: the changes are in changes.cow'
for word in --cow --root --fast; do
	result=0
	./cloopw-chroot "$word" 2>said || result=$?
	is "$word alone: status" "$result" 2
done

# shellcheck disable=SC2154  # of lib.sh
exit "$status"
