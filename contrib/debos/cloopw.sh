#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# debos: an action "run" with this script packs the root file system, as it is then, into the
# image NAME beside the other artifacts. OPTIONS are mkcloopw's.
#
#   script: cloopw.sh NAME [OPTIONS...]

set -eu
name=${1:?usage: cloopw.sh NAME [OPTIONS...]}
shift
: "${ROOTDIR:?debos sets it}" "${ARTIFACTDIR:?debos sets it}"
exec mkcloopw -q -f --free 1G --label root "$@" --from-dir "$ROOTDIR" "$ARTIFACTDIR/$name"
