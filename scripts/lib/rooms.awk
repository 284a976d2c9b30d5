# SPDX-License-Identifier: GPL-2.0
#
# Reads a picture of rooms, then lines "source FILE", "include FILE NAME", "name FILE" and
# "shadow FILE OTHER". Prints each include that no arrow allows, each missing file and each
# shadow: scripts/lint-rooms.

FNR == NR { picture(); next }
$1 == "source" { keep_source($2); next }
$1 == "include" { file[++includes] = $2; name[includes] = $3 }
$1 == "name" { look_for($2); next }
$1 == "shadow" { complain($2 ": has the name of " $3); next }

END {
	close_arrows()
	look_at_rooms()
	for (i = 1; i <= includes; i++)
		look(file[i], name[i])
	exit found > 0
}

# picture: "A" [...]; or "A" -> "B"; or a dashed "A" -> "B" [..., dir=back, label="FILE"];
# which leads from B to A
function picture(    part, n) {
	if ($0 !~ /^[ \t]*"/)
		return
	n = split($0, part, "\"")
	rooms[part[2]] = 1
	if (part[3] !~ /->/)
		return
	rooms[part[4]] = 1
	if (/dashed/)
		door[part[4], part[2]] = part[n - 1]
	else
		arrow[part[2], part[4]] = 1
}

# look_at_rooms: each has files
function look_at_rooms(    path, room, used) {
	for (path in source)
		used[room_of(path)] = 1
	for (room in rooms)
		if (!(room in used))
			complain("docs/pictures/rooms.dot: " room " has no files")
}

# close_arrows: all ways along arrows; none leads back
function close_arrows(    a, b, c) {
	for (b in rooms)
		for (a in rooms)
			for (c in rooms)
				if ((a, b) in arrow && (b, c) in arrow)
					arrow[a, c] = 1
	for (a in rooms)
		if ((a, a) in arrow)
			complain("docs/pictures/rooms.dot: the arrows lead from " a \
				 " back to " a)
}

function keep_source(path,    base) {
	source[path] = 1
	base = path
	sub(/^.*\//, "", base)
	named[base] = named[base] " " path
}

# room_of: the longest node that is a folder above; "" when there is none
function room_of(path) {
	while (sub(/\/[^\/]*$/, "", path))
		if (path in rooms)
			return path
	return ""
}

# look_for: a file that a text names, perhaps by its end alone
function look_for(wanted,    path) {
	for (path in source)
		if (substr("/" path, length(path) - length(wanted) + 1) == "/" wanted)
			return
	complain("docs/explain/architecture.md: there is no file " wanted)
}

# resolve: the file that is meant; "" when it is none of ours. When several have that
# name, the one that an arrow leads to.
function resolve(from, inc,    path, n, candidate, i, tail, hits, hit, allowed, good) {
	path = from
	sub(/[^\/]*$/, "", path)
	path = path inc
	while (sub(/[^\/.]+\/\.\.\//, "", path))
		;
	if (path in source)
		return path
	if (inc in source)
		return inc
	tail = inc
	sub(/^.*\//, "", tail)
	n = split(named[tail], candidate, " ")
	for (i = 1; i <= n; i++) {
		path = candidate[i]
		if (substr(path, length(path) - length(inc)) == "/" inc) {
			hits++
			hit = hits == 1 ? path : hit " or " path
			if (may(room_of(from), room_of(path))) {
				allowed++
				good = path
			}
		}
	}
	if (allowed == 1)
		return good
	if (hits > 1)
		complain(from ": includes " inc ", which is " hit)
	return hits == 1 ? hit : ""
}

function may(a, b) {
	return a == b || (a, b) in arrow
}

function look(from, inc,    to, a, b, base) {
	a = room_of(from)
	if (a == "") {
		if (!(from in told))
			complain(from ": is in no room of docs/pictures/rooms.dot")
		told[from] = 1
		return
	}
	to = resolve(from, inc)
	if (to == "")
		return
	b = room_of(to)
	base = from
	sub(/^.*\//, "", base)
	if (!may(a, b) && door[a, b] != base)
		complain(from ": includes " to ", but no arrow leads from " a " to " b)
}

function complain(text) {
	print text
	found++
}
