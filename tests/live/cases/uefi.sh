# shellcheck shell=bash disable=SC2016,SC2034,SC2054,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# The ISO under UEFI.

medium >&2
vm_options=(-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd)
with cdrom "$live.iso"
vm_mem=1024 vm_start "${vm_options[@]}"
vm_login 600
check 'booted by UEFI' guest 'test -d /sys/firmware/efi'
vm_off
