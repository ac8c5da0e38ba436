#!/usr/bin/env bash
# Runs every fuzz target of the module, or those whose names match a pattern, each
# for the given time (default 3s), and prints a table. Corpora grow in
# $XDG_CACHE_HOME/gotnc-fuzz (~/.cache/gotnc-fuzz), a folder a target.
#
#   internal/fuzzall.sh 3s             each for 3 s
#   internal/fuzzall.sh 0.5h           half an hour, shared by all targets
#   internal/fuzzall.sh 3s 'measure'   those with "measure" in folder or name
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-3s}
match=${2:-.}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gotnc-fuzz
out=$(mktemp)
table=$(mktemp)
trap 'rm -f "$out" "$table"' EXIT

targets=$(grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed -E 's|^(.*)/[^/]*:func (.*)|\1 \2|' | sort -u | grep -E "$match")
if [[ $time == *h ]]; then
	time=$(awk -v h="${time%h}" -v n="$(wc -l <<<"$targets")" 'BEGIN { s = int(h * 3600 / n); print (s < 1 ? 1 : s) "s" }')
	echo "each of $(wc -l <<<"$targets") targets for $time"
fi
status=0
while read -r dir target; do
	echo "fuzz $dir $target"
	result=ok
	mkdir -p "$cache/$dir/$target"
	if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir" -args -test.fuzzcachedir="$cache/$dir/$target" >"$out" 2>&1; then
		# On a busy machine go test sometimes reports the end of the fuzzing time
		# itself as a failure; a real one writes its input.
		if ! grep -q 'context deadline exceeded' "$out" || grep -qE 'Failing input written|panic:' "$out"; then
			result="CRASHER $(grep -oE 'testdata/fuzz/[^ ]+' "$out" | head -1)"
			status=1
			cat "$out"
		fi
	fi
	last=$(grep -oE 'execs: [0-9]+ \([0-9]+/sec\).*' "$out" | tail -1 || true)
	printf '%-44s %12s  %-12s %s\n' "${dir#./} $target" "$(sed -E 's/execs: ([0-9]+).*/\1/' <<<"${last:-0}")" \
		"$(grep -oE 'total: [0-9]+' <<<"$last" | sed 's/total: /corpus /' || true)" "$result" >>"$table"
done <<<"$targets"
printf '\n%-44s %12s\n' target executions
cat "$table"
awk -v s=$status '{ n += $3 } /CRASHER/ { c++ } END { printf "%d targets, %d executions, %d crashers\n", NR, n, c }' "$table"
exit $status
