# SPDX-License-Identifier: GPL-2.0
#
# Reads "NAME VALUE UNIT" lines, several a name, and a file of targets,
#   TEXT <tab> NAME <tab> PEER <tab> OPERATOR <tab> RATIO
# and prints for each target the medians, their spread, the ratio and whether
# it is reached. OPERATOR is >= or <=.

function median_of(name,    i, j, n, list, t) {
	n = count[name]
	for (i = 1; i <= n; i++)
		list[i] = value[name, i]
	for (i = 1; i <= n; i++)
		for (j = i + 1; j <= n; j++)
			if (list[j] < list[i]) {
				t = list[i]; list[i] = list[j]; list[j] = t
			}
	low = list[1]
	high = list[n]
	return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function shown(name,    m) {
	m = median_of(name)
	return sprintf("%.1f (%.1f-%.1f)", m, low, high)
}

{
	value[$1, ++count[$1]] = $2
	unit[$1] = $3
}

END {
	FS = "\t"
	printf "%-44s %-24s %-24s %7s  %s\n", "", "cloopw", "peer", "ratio",
		"target"
	while ((getline line < targets) > 0) {
		if (line ~ /^#/ || line == "")
			continue
		split(line, f, "\t")
		if (!count[f[2]] || !count[f[3]]) {
			if (partial)
				continue
			printf "%-44s not measured (%s, %s)\n", f[1], f[2], f[3]
			missing = 1
			continue
		}
		peer = median_of(f[3])
		ratio = peer ? median_of(f[2]) / peer : 0
		reached = f[4] == ">=" ? ratio >= f[5] : ratio <= f[5]
		printf "%-44s %-24s %-24s %6.2fx  %s %.2f %s\n",
			f[1] " [" unit[f[2]] "]", shown(f[2]), shown(f[3]),
			ratio, f[4], f[5], reached ? "reached" : "MISSED"
	}
	exit missing
}
