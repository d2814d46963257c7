#!/bin/sh
# Measures a whole fleet on this machine: broker, store, stylefleet, workers. Alone on it, about 40
# minutes on two cores.
#
#   fleet.sh           all of it; rewrites the fleet's section of BENCHMARKS.md
#   fleet.sh --keep    the same, but only what an earlier run did not get to
#   fleet.sh --quick   few and small, to check the chain: prints the section, rewrites nothing
#   fleet.sh --report  rewrites the section from what was measured last
#
# Read from the environment as by run.sh: LIBTORCH, STYLEFLEET_WEIGHTS, STYLEFLEET_CACHE, CARGO_TARGET_DIR,
# PYTHON. Needs a release build.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
bin=${CARGO_TARGET_DIR:-$cache/target}/release
python=${PYTHON:-python3}

say() { printf 'bench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

mode=${1:-}
work=$cache/bench/fleet
case $mode in
'') rm -rf "$work/results"; set -- ;;
--keep | --report) set -- ;;
--quick)
    work=$cache/bench/fleet-quick
    rm -rf "$work/results"
    set -- --jobs 300 --many 1000 --watch 5 --repeats 3 --back-to-back 5 --deaths 2 --slice 2 \
        --evaluations 50 --patience 0
    ;;
*) die "$mode is not known; usage: fleet.sh [--keep | --quick | --report]" ;;
esac

if [ -z "${LIBTORCH:-}" ] || [ -z "${STYLEFLEET_WEIGHTS:-}" ]; then
    env=$("$root/deploy/setup/setup.sh" --env) && eval "$env"
fi
export STYLEFLEET_WEIGHTS
[ -x "$bin/stylefleet" ] && [ -x "$bin/stylefleet-worker" ] || die "$bin/stylefleet is missing: run  make build"
mkdir -p "$cache/bench"
exec 9>"$cache/bench/lock"
flock -n 9 || die "another benchmark is running: they would slow each other"

[ "$mode" = --report ] || "$python" "$here/fleet.py" --bin "$bin" --work "$work" "$@" 9>&-
[ -e "$work/results/about.json" ] || die "nothing was measured yet: run  make bench-fleet"
if [ "$mode" = --quick ]; then
    "$python" "$here/fleet_report.py" "$work"
else
    # The section is the last.
    sed '/^## The fleet$/,$d' "$root/BENCHMARKS.md" >"$work/BENCHMARKS.md"
    "$python" "$here/fleet_report.py" "$work" >>"$work/BENCHMARKS.md"
    cp "$work/BENCHMARKS.md" "$root/BENCHMARKS.md"
    say "wrote the fleet's section of BENCHMARKS.md"
fi
