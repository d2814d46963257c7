#!/bin/sh
# Prepares this machine to build and run Stylefleet: a C++ compiler, libtorch, VGG19's weights, ffmpeg
# for videos, and libheif for pictures in HEIC and AVIF.
#
#   setup.sh          does what is missing; if nothing is, returns at once
#   setup.sh --cuda   the same, with libtorch's CUDA half even without an NVIDIA driver
#   setup.sh --env    the same, then prints the shell lines that builds and workers need:
#                         env=$(deploy/setup/setup.sh --env) && eval "$env" && cargo build
#
# Read from the environment:
#   LIBTORCH            a libtorch 2.13.0 of your own (the folder with lib/ and include/)
#   STYLEFLEET_WEIGHTS  a weights file of your own (see weights.py)
#   STYLEFLEET_CACHE    where downloads go; else $XDG_CACHE_HOME/stylefleet or ~/.cache/stylefleet
#   PYTHON              the Python to use; else python3
set -eu
exec 3>&1 1>&2 # all talk goes to stderr: --env alone writes to stdout

torch=2.13.0 # the one version that tch 0.26 links with
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
venv=$cache/libtorch-$torch
# Written last, with the path of libtorch: without one of them the install is redone.
whole=$venv/complete cpu_half=$venv/complete-cpu
wheels=$venv/wheels
weights=$cache/vgg19-d53e7d51.safetensors # named by its checksum, so another version gets another name

say() { printf 'setup: %s\n' "$*"; }
die() { say "$*"; exit 1; }

env='' cuda=''
for option; do
    case $option in
    --env) env=yes ;;
    --cuda) cuda=yes ;;
    *) die "$option is not known; usage: setup.sh [--cuda] [--env]" ;;
    esac
done

apt() { # package, what it brings
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        die "$2 is missing: run  sudo apt-get install $1  (or what your system calls it), then this again"
    fi
    say "$2 is missing: installing Debian's package $1"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$1"; } ||
        die "$1 could not be installed (see above): run  apt-get install $1  by hand, then this again"
}

has_library() { PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -qF "$1 ("; }

# All else works without it, so nobody has to be root.
can_do_without() { # package, what it brings, what does not work without
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        return 1
    fi
    say "$2 is missing: $3 until you run  sudo apt-get install $1"
}

want_ffmpeg() {
    can_do_without ffmpeg ffmpeg 'videos are neither read nor written' ||
        apt ffmpeg 'ffmpeg, which reads and writes videos,'
}

want_libheif() {
    ! can_do_without libheif1 libheif 'HEIC and AVIF files are not read' || return 0
    apt libheif1 'libheif, which reads HEIC and AVIF files,'
    # Since Debian 13 its decoders are packages of their own.
    for decoder in libheif-plugin-libde265 libheif-plugin-dav1d; do
        ! apt-cache show "$decoder" >/dev/null 2>&1 || apt "$decoder" 'a decoder of libheif'
    done
}

has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

need_python() {
    command -v "$python" >/dev/null || apt python3 "Python 3 ($python)"
    has_venv || apt python3-venv "Python's venv module"
    has_venv || die "$(command -v "$python") still cannot make a venv: name another with PYTHON=/usr/bin/python3"
}

# The first caller works, others (a second checkout, say) wait and then find everything there.
lock() {
    mkdir -p "$cache" || die "$cache cannot be made: name another folder with STYLEFLEET_CACHE"
    exec 9>"$cache/setup.lock"
    flock -n 9 || { say "another set-up is at work in $cache: waiting for it"; flock 9; }
}

need_space() { # MB, what for
    free=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge "$1" ] || die "$2 needs $1 MB, $cache has $free MB free: make room, or name another folder with STYLEFLEET_CACHE"
}

holds_libtorch() { [ -e "$1" ] && [ -e "$(cat "$1")/lib/libtorch.so" ]; }

installed() { holds_libtorch "$whole" || { [ -z "$cuda" ] && holds_libtorch "$cpu_half"; }; }

# pip unpacks by way of TMPDIR, and /tmp may be small; its cache would only keep the downloads twice.
pip() { # command, arguments
    command=$1
    shift
    TMPDIR=$wheels "$venv/bin/pip" --disable-pip-version-check "$command" --no-cache-dir "$@" && return
    rm -rf "$wheels"
    die "libtorch was not installed (see above): run this again, with PYTHON=python3.N if torch $torch is not made for this one, or set LIBTORCH to a libtorch of your own"
}

# A CPU half that is there stays in use until all is fetched.
install_whole() {
    set -- "torch==$torch" numpy pillow safetensors h5py
    pip download --dest "$wheels" "$@"
    rm -f "$cpu_half"
    pip install --quiet --no-index --find-links "$wheels" "$@"
}

# The wheel has both halves. libtorch_cpu.so names two of CUDA's libraries, small ones; all the others,
# 2.3 GB, are named by libtorch_cuda.so and by torch's Python part, which go.
install_cpu_half() {
    pip install --no-deps --no-compile "torch==$torch"
    site=$(echo "$venv"/lib/python3*/site-packages)
    toolkit=$(sed -n 's/^Requires-Dist: cuda-toolkit\[.*\]==\([0-9.]*\).*/\1/p' "$site/torch-$torch"*.dist-info/METADATA)
    # Without its .dist-info pip does not take the rest for an installed torch.
    rm -rf "$site/torch-$torch"*.dist-info "$site/torchgen" "$site/functorch"
    rm -f "$site"/torch/lib/*cuda*.so "$site"/torch/lib/*nv*.so "$site"/torch/lib/libtorch_python.so
    find "$site/torch" -mindepth 1 -maxdepth 1 ! -name lib ! -name include ! -name version.py -exec rm -rf {} +
    [ -z "$toolkit" ] || pip install --no-compile "cuda-toolkit[cudart,cupti]==$toolkit"
}

install_libtorch() {
    ! installed || return 0 # by another set-up, while this one waited
    if [ -n "$cuda" ]; then
        say "installing libtorch $torch with CUDA 13 (it serves CPU and GPU) from PyPI: a download of 2.8 GB, 4.8 GB in $venv"
        need_space 8000 "libtorch, with its downloads,"
    else
        say "installing libtorch $torch for the CPU from PyPI: a download of 540 MB, 560 MB in $venv"
        say "(no NVIDIA driver is here; CUDA's half, another 2.3 GB to download, comes with one, or with  setup.sh --cuda)"
        need_space 2000 "libtorch, with its downloads,"
    fi
    need_python
    holds_libtorch "$cpu_half" || { rm -rf "$venv" && "$python" -m venv "$venv"; }
    rm -rf "$wheels"
    mkdir "$wheels"
    if [ -n "$cuda" ]; then
        install_whole
        stamp=$whole
    else
        install_cpu_half
        stamp=$cpu_half
    fi
    rm -rf "$wheels"
    libtorch=$(echo "$venv"/lib/python3*/site-packages/torch)
    [ -e "$libtorch/lib/libtorch.so" ] || die "torch $torch came without $libtorch/lib/libtorch.so: set LIBTORCH to a libtorch $torch"
    echo "$libtorch" >"$stamp.part"
    mv "$stamp.part" "$stamp"
}

install_weights() {
    [ ! -e "$weights" ] || return 0
    need_space 300 "the weights, with their download,"
    need_python
    "$python" "$here/weights.py" fetch --out "$weights" || exit 1
}

# For who builds: where Stylefleet is installed, nothing is.
! command -v cargo >/dev/null || command -v c++ >/dev/null || apt g++ 'a C++ compiler (c++)'
has_library libheif.so.1 || want_libheif
if ! command -v ffmpeg >/dev/null || ! command -v ffprobe >/dev/null; then want_ffmpeg; fi
# Comes with NVIDIA's driver; the worker looks for it too.
! has_library libcuda.so.1 || cuda=yes

if [ -n "${LIBTORCH:-}" ]; then
    [ -e "$LIBTORCH/lib/libtorch.so" ] ||
        die "LIBTORCH=$LIBTORCH has no lib/libtorch.so: name the folder that holds lib/ and include/, or unset it to have libtorch installed"
    found=$(cat "$LIBTORCH/build-version" 2>/dev/null ||
        sed -n "s/^__version__ = '\(.*\)'/\1/p" "$LIBTORCH/version.py" 2>/dev/null || true)
    case $found in
    '' | "$torch" | "$torch"+*) ;;
    *) die "LIBTORCH=$LIBTORCH is libtorch $found, not $torch: unset it to have $torch installed" ;;
    esac
else
    installed || { lock; install_libtorch; }
    LIBTORCH=$(cat "$whole" 2>/dev/null || cat "$cpu_half")
fi

if [ -n "${STYLEFLEET_WEIGHTS:-}" ]; then
    [ -f "$STYLEFLEET_WEIGHTS" ] ||
        die "STYLEFLEET_WEIGHTS=$STYLEFLEET_WEIGHTS is not there: name a file that weights.py wrote, or unset it to have one fetched"
else
    [ -e "$weights" ] || { lock; install_weights; }
    STYLEFLEET_WEIGHTS=$weights
fi

show() { # name, value: absolute, since cargo runs build scripts elsewhere, and quoted for the shell
    case $2 in /*) ;; *) set -- "$1" "$PWD/$2" ;; esac
    printf "export %s='%s'\n" "$1" "$(printf %s "$2" | sed "s/'/'\\\\''/g")"
}

if [ -n "$env" ]; then
    # A Python that has torch, for tests; without libtorch's CUDA half, or with a LIBTORCH of one's own, if
    # it has one.
    torch_python=$venv/bin/python
    [ -e "$whole" ] || torch_python=$(command -v "$python" || echo python3)
    {
        show LIBTORCH "$LIBTORCH"
        show STYLEFLEET_WEIGHTS "$STYLEFLEET_WEIGHTS"
        show STYLEFLEET_PYTHON "$torch_python"
    } >&3
else
    say "libtorch is $LIBTORCH, the weights are $STYLEFLEET_WEIGHTS"
fi
