#!/bin/sh
# Runs every fuzz target of the module for the given time (default 3s each).
set -eu
time=${1:-3s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for dir in $(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //'); do
		echo "fuzz $dir $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir" >"$out" 2>&1 && continue
		# On a busy machine go test sometimes reports the end of the fuzzing time
		# itself as a failure; a real one writes its input.
		if grep -q 'context deadline exceeded' "$out" && ! grep -qE 'Failing input written|panic:' "$out"; then
			continue
		fi
		cat "$out"
		exit 1
	done
done
