# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The ways out of the guest, for what runs its tests.

# port NAME: path of the virtio-serial port; the names arrive after boot
port() {
	local dir try
	for ((try = 0; try < 100; try++)); do
		for dir in /sys/class/virtio-ports/*; do
			if [ "$(cat "$dir/name" 2>/dev/null)" = "org.cloopw.$1" ]
			then
				echo "/dev/${dir##*/}"
				return
			fi
		done
		sleep 0.1
	done
	echo "cloopw-vm: no port $1" >/dev/kmsg
	return 1
}

# open_ports: descriptors 9, 8 and 7, for results, files and what tests print. A port
# has one opener only: all processes share these.
open_ports() {
	local result log files
	modprobe virtio_console
	result=$(port result) && log=$(port log) && files=$(port files) || return
	exec 9>"$result" 8>"$files" 7>"$log"
}
