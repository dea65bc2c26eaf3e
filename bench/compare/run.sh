#!/usr/bin/env bash
# run.sh REV1 [REV2]    compare the Go benchmarks of two commits; without REV2, of REV1 and the working tree.
#
#   COUNT=10            how often each benchmark runs on each side; they take turns, so that a noisy moment meets both
#   BENCHTIME=0.5s      for how long, or how many times with 100x
#   BENCH=.             regular expression: only benchmarks whose name matches
#   PACKAGES="..."      default: those of the hot parts
#
# The last lines are benchstat's: for each benchmark both medians, the difference, and how likely it is chance.
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
BENCHSTAT=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
COUNT=${COUNT:-10}
BENCHTIME=${BENCHTIME:-0.5s}
BENCH=${BENCH:-.}
PACKAGES=${PACKAGES:-"proxy/wire capture/filter capture/store certs"}
TAGS=sqlite_fts5

top=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d)
trees=()
cleanup() {
	for t in ${trees[@]+"${trees[@]}"}; do git -C "$top" worktree remove --force "$t"; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

build() { # SIDE DIR: a test program for each package that has one
	local p
	for p in $PACKAGES; do
		[ -d "$2/$p" ] || continue
		(cd "$2" && go test -tags "$TAGS" -c -o "$work/$1/${p//\//-}.test" "./$p")
	done
}

checkout() { # SIDE REV
	local rev
	rev=$(git -C "$top" rev-parse --verify --quiet "$2^{commit}") || { echo "compare: no commit $2" >&2; exit 1; }
	git -C "$top" worktree add --quiet --detach "$work/tree-$1" "$rev"
	trees+=("$work/tree-$1")
	build "$1" "$work/tree-$1"
}

mkdir "$work/old" "$work/new"
checkout old "$1"
new_dir=$top
if [ $# = 2 ]; then
	checkout new "$2"
	new_dir=$work/tree-new
else
	build new "$top"
fi

for round in $(seq "$COUNT"); do
	echo "round $round of $COUNT" >&2
	for p in $PACKAGES; do
		program=${p//\//-}.test
		for side in old new; do
			dir=$work/tree-old
			[ $side = old ] || dir=$new_dir
			[ -x "$work/$side/$program" ] || continue
			(cd "$dir/$p" && "$work/$side/$program" -test.run '^$' -test.bench "$BENCH" -test.benchtime "$BENCHTIME") >>"$work/$side.txt" ||
				{ echo "compare: the benchmarks of $p fail on the $side side" >&2; exit 1; }
		done
	done
done
cd "$work"
go run "$BENCHSTAT" old.txt new.txt
