# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# live/secrets on the tree of an image: run by tests/initramfs/run in an empty
# directory.

# shellcheck source=tests/initramfs/lib.sh
. "$1/tests/initramfs/lib.sh"

# key FILE: a private key, as far as a file shows
key() {
	mkdir -p "root/${1%/*}"
	printf '%s\n' "-----BEGIN $2PRIVATE KEY-----" x >"root/$1"
}

mkdir -p root/etc root/var/lib/dbus root/var/lib/systemd root/home
key etc/ssh/ssh_host_rsa_key 'RSA '
key etc/ssh/ssh_host_ed25519_key 'OPENSSH '
key etc/ssl/private/ssl-cert-snakeoil.key ''
key var/lib/dkms/mok.key ''
echo public >root/etc/ssh/ssh_host_rsa_key.pub
echo config >root/etc/ssh/sshd_config
echo 0123456789abcdef0123456789abcdef >root/etc/machine-id
cp root/etc/machine-id root/var/lib/dbus/
echo seed >root/var/lib/systemd/random-seed
is 'keys are found' "$("$1/live/secrets" find root | wc -l)" 4

"$1/live/secrets" forget root
is 'no key is left' "$("$1/live/secrets" find root)" ''
is 'what is no secret stays' "$(cat root/etc/ssh/sshd_config)" config
no_ 'the public half goes, too' test -e root/etc/ssh/ssh_host_rsa_key.pub
yes_ 'there is a machine-id' test -e root/etc/machine-id
no_ 'and it is empty' test -s root/etc/machine-id
is 'D-Bus takes that' "$(readlink root/var/lib/dbus/machine-id)" /etc/machine-id
no_ 'no seed' test -e root/var/lib/systemd/random-seed
"$1/live/secrets" forget root
is 'once more' "$("$1/live/secrets" find root)" ''

# the user's own keys stay, and are reported
key root/.ssh/id_ed25519 'OPENSSH '
"$1/live/secrets" forget root
is "a user's key" "$("$1/live/secrets" find root)" root/root/.ssh/id_ed25519

# ---- who is logged in without a password ----

mkdir bin
cat >bin/chroot <<'END'
#!/bin/sh
echo "$*" >>chroots
END
chmod +x bin/chroot
# customized OPTIONS...: a root that live/customize has set up
customized() {
	rm -rf live chroots
	mkdir -p live/etc/systemd/system live/etc/initramfs-tools/conf.d live/etc/apt
	: >live/etc/apt/sources.list
	PATH=$PWD/bin:$PATH "$top/live/customize" settings live "$@"
}
top=$1
customized
yes_ 'root has no password' grep -q 'passwd -q -d root' chroots
for unit in getty@ serial-getty@; do
	yes_ "$unit logs root in" grep -q 'autologin root' \
		"live/etc/systemd/system/$unit.service.d/live.conf"
done
customized login
yes_ '--login: root is locked' grep -q 'passwd -q -l root' chroots
no_ '--login: nobody is without a password' grep -q 'passwd -q -d' chroots
no_ '--login: nobody is logged in' grep -rq autologin live/etc

# shellcheck disable=SC2154  # of lib.sh
exit "$status"
