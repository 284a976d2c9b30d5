# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# The harness itself: library, kernel modules, programs, disks if there are any.

ok "starts"
check "a command that succeeds" true
refuses "a command that fails" 'No such file' cat /nonexistent
echo text >a
cp a b
same "the same bytes" a b
check "scratch is empty" test -z "$(ls -A "$(scratch)")"
