# SPDX-License-Identifier: GPL-2.0
#
# Finds functions of C and C++ with more than 49 lines between their braces: scripts/lint.
# A function begins at the margin, or four blanks from it in a class.

BEGIN { longest = 49 }

FNR == 1 { opened = 0 }

!opened && /^(    )?[^ \t}]/ { margin = /^ / ? "    " : "" }

!opened && (/^[^#].*\).*\{$/ || $0 == "{") && !/^extern|[={] ?\{$|\[[&=]*\]\(/ {
	opened = FNR
	next
}

opened && $0 == margin "}" {
	lines = FNR - opened - 1
	if (lines > longest) {
		print FILENAME ":" opened ": a function of " lines " lines"
		found++
	}
	opened = 0
}

END { exit found > 0 }
