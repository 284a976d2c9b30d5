#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dracut: root=cloopw is known; mount.sh mounts it.

[ "${root-}" ] || root=$(getarg root=)
if [ "$root" = cloopw ]; then
	# shellcheck disable=SC2034  # dracut's
	rootok=1
fi
