#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dracut's shutdown has unmounted what it could; what is left is detached.

# shellcheck source=initramfs/lib.sh
. /lib/cloopw.sh

[ ! -b "$cw_device" ] || cw_detach_all /oldroot
