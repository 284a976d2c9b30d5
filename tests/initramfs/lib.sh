# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# Sourced by the tests beside it: what is compared, and what was not as it should be.

status=0

# no NAME WHY
no() {
	echo "not ok $1: $2"
	status=1
}

# is NAME HAVE WANT
is() {
	[ "$2" = "$3" ] || no "$1" "'$2', not '$3'"
}

# says NAME TEXT: the last cw_parse found this fault
says() {
	case $cw_errors in
	*"$2"*) ;;
	*) no "$1" "'$cw_errors' says nothing of '$2'" ;;
	esac
}

# reason NAME TEXT: what failed last gave this reason
reason() {
	case $cw_reason in
	*"$2"*) ;;
	*) no "$1" "'$cw_reason' says nothing of '$2'" ;;
	esac
}

# yes_ NAME COMMAND...
yes_() {
	name_=$1
	shift
	"$@" || no "$name_" "$* failed: $cw_reason"
}

# no_ NAME COMMAND...
no_() {
	name_=$1
	shift
	! "$@" || no "$name_" "$* succeeded"
}
