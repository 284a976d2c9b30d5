# SPDX-License-Identifier: GPL-2.0
#
# Finds sentences that are hard to read: scripts/lint-english. Variable kind: md, scd,
# c or hash (shell, CMake, make, Python: full lines that begin with #).
#
# Code is left out: indented and fenced blocks, `spans`, terms of definitions in a
# manual. A table's cell is text of its own, in which code counts nothing. In C and C++
# the messages are read, too: the strings that a call gives to the user.

BEGIN {
	longest = 25
	opening = "^(who|what|of|those|as)$"
	call = "(throw [[:alnum:]_]+|cw_refuse(_file)?|findings_?\\.[a-z_]+|REASON)\\("
	abbreviation = "(^|[ (])(e\\.g|i\\.e|etc|vs|cf)\\.$"
}

FNR == 1 { start_file() }
kind == "md" { markdown(); next }
kind == "scd" { manual(); next }
kind == "c" { c_comment(); next }
{ hash_comment() }

END {
	flush()
	exit found > 0
}

function start_file() {
	flush()
	fenced = code = block = definition = calls = 0
	previous = ""
}

# add: a line of the paragraph that is being collected
function add(line) {
	if (words == 0)
		first = FNR
	words++
	# the paragraph, and which line each of its words is on
	n_tokens = split(line, token, /[ \t]+/)
	for (i = 1; i <= n_tokens; i++)
		if (token[i] != "") {
			word[++count] = token[i]
			at[count] = FNR
		}
}

function flush() {
	if (count)
		paragraph(0)
	count = words = 0
}

# plain: a line without its marks; a span of code is one word, or none in a cell
function plain(line, cell) {
	if (cell)
		gsub(/`[^`]*`/, "", line)
	gsub(/``[^`]*``|`[^`]*`/, "CODE", line)
	gsub(/<!--.*-->/, "", line)
	gsub(/\]\([^)]*\)/, "", line)
	gsub(/!?\[/, "", line)
	gsub(/[*]/, "", line)
	return line
}

# paragraph: cuts what was collected into sentences and looks at each
function paragraph(cell,    i, sentence, length_, begin) {
	sentence = ""
	length_ = 0
	for (i = 1; i <= count; i++) {
		if (length_ == 0 && sentence == "")
			begin = i
		sentence = sentence (sentence == "" ? "" : " ") word[i]
		if (word[i] ~ /[[:alnum:]]/)
			length_++
		if (i == count || ends(i)) {
			judge(sentence, length_, at[begin], cell)
			sentence = ""
			length_ = 0
		}
	}
}

# ends: whether a sentence ends with this word, or a part of a message
function ends(i,    w) {
	w = word[i]
	sub(/["')_\]]+$/, "", w)
	if (is_message && w ~ /[;:]$/)
		return 1
	if (w !~ /[.!?]$/ || w ~ abbreviation)
		return 0
	if (w ~ /\.\.\.$/)
		return word[i + 1] ~ /^[A-Z]/
	return 1
}

function judge(sentence, length_, line, cell,    w) {
	w = sentence
	sub(/^[^[:alnum:]]+/, "", w)
	sub(/[^[:alpha:]_].*$/, "", w)
	# a cell in lower case is no sentence
	if (tolower(w) ~ opening && !(cell && w ~ /^[a-z]/))
		complain(line, "begins with " w, sentence)
	if (length_ > longest)
		complain(line, length_ " words", sentence)
}

function complain(line, rule, sentence) {
	print FILENAME ":" line ": " rule ": " sentence
	found++
}

# one: a text that is complete in one line
function one(text, cell) {
	flush()
	add(plain(text, cell))
	paragraph(cell)
	count = words = 0
}

function markdown(    n, cell, i, text) {
	if (/^```/) {
		flush()
		fenced = !fenced
		return
	}
	if (fenced || (/^(    |\t)/ && count == 0))
		return
	if (/^[ \t]*$/) {
		flush()
		return
	}
	if (/^\|/) {
		flush()
		text = $0
		gsub(/\\\|/, "/", text)
		n = split(text, cell, /\|/)
		for (i = 2; i < n; i++)
			one(cell[i], 1)
		return
	}
	if (/^#+ /) {
		text = $0
		sub(/^#+ /, "", text)
		one(text, 0)
		return
	}
	text = $0
	if (text ~ /^[ \t]*([-*]|[0-9]+\.) /) {
		flush()
		sub(/^[ \t]*([-*]|[0-9]+\.) /, "", text)
	}
	add(plain(text, 0))
}

# A line that begins with a tab explains the term before it, or is an example.
function manual(    text, was) {
	was = previous
	previous = $0
	if (/^[ \t]*$/) {
		flush()
		code = 0
		return
	}
	if (/^\t/ && was ~ /^[^\t#]/) {
		if (!code) {
			definition = 1
			count = words = 0 # the term
		}
	} else if (/^\t/ && was ~ /^[ \t]*$/ && !definition) {
		code = 1
	} else if (/^[^\t]/ && was ~ /^[ \t]*$/) {
		definition = 0
	}
	if (code)
		return
	if (/^[[:alnum:]-]+\([0-9]\)$/ || /^(\[\[|:\[|\||:|\]\[|\]\||;)/ || /\+\+$/) {
		flush()
		return
	}
	text = $0
	if (text ~ /^# /) {
		sub(/^# /, "", text)
		one(text, 0)
		return
	}
	gsub(/[*_\\]/, "", text)
	if (text ~ /^[ \t]*- /) {
		flush()
		sub(/^[ \t]*- /, "", text)
	}
	add(text)
}

function c_comment(    text, ended) {
	text = $0
	if (!block) {
		if (text ~ /^[ \t]*\/\/ /) {
			sub(/^[ \t]*\/\/ ?/, "", text)
			comment_line(text)
			return
		}
		flush()
		message(text)
		if (text ~ /\/\/ / && text !~ /"[^"]*\/\/ [^"]*"/) {
			sub(/^.*\/\/ /, "", text)
			one(text, 0)
			return
		}
		if (text !~ /\/\*/ || text ~ /"[^"]*\/\*[^"]*"/)
			return
		sub(/^.*\/\*+ ?/, "", text)
		block = 1
	} else if (text !~ /^[ \t]*\*+\//) {
		sub(/^[ \t]*\* ?/, "", text)
	}
	ended = text ~ /\*\//
	sub(/[ \t]*\*+\/.*$/, "", text)
	comment_line(text)
	if (ended) {
		flush()
		block = 0
	}
}

# message: a line of code, in which calls have strings for the user
function message(line,    i, c) {
	if (!calls) {
		if (!match(line, call))
			return
		line = substr(line, RSTART + RLENGTH)
		calls = 1
		said = ""
		quoted = 0
	}
	for (i = 1; i <= length(line) && calls; i++) {
		c = substr(line, i, 1)
		if (c == "\\")
			i++
		else if (c == "\"")
			quoted = !quoted
		else if (quoted)
			said = said c
		else if (c !~ /[ \t+]/)
			said = said (said ~ /X$/ ? "" : "X")
		if (!quoted)
			calls += (c == "(") - (c == ")")
	}
	if (!calls) {
		gsub(/^X+|X$/, "", said)
		is_message = 1
		one(said, 0)
		is_message = 0
	}
}

function hash_comment(    text) {
	text = $0
	if (text !~ /^[ \t]*#( |$)/) {
		flush()
		return
	}
	sub(/^[ \t]*# ?/, "", text)
	comment_line(text)
}

# comment_line: a line of a comment without the comment's own signs
function comment_line(text) {
	if (text ~ /^[ \t]*$|^\t|^  |^(SPDX-|shellcheck |clang-format )/) {
		flush()
		return
	}
	sub(/^@[[:alnum:]_.]+:/, "", text)
	# a row of a table: a name, a gap, a text
	if (text ~ /^[^ \t]+(\t|   )/) {
		flush()
		sub(/^[^ \t]+[ \t]+/, "", text)
	}
	if (text ~ /^[-*] /) {
		flush()
		sub(/^[-*] /, "", text)
	}
	add(plain(text, 0))
}
