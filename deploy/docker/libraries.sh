#!/bin/sh
# Copies the shared libraries of BINARY that lie under ROOT to the same place under IMAGE.
#
#   libraries.sh BINARY ROOT IMAGE
#
# Beside what the binary is linked with: CUDA's half of libtorch with all that it is linked with, which
# the worker loads where there is a GPU, and cuDNN's parts and NVRTC's builtins, which are opened by
# name when they are first needed. The rest of torch (Python, Triton, debugging tools) stays behind.
set -eu

[ $# = 3 ] || { echo "usage: libraries.sh BINARY ROOT IMAGE" >&2; exit 2; }
binary=$1 root=$(realpath "$2") image=$3

# The loader, which the last line is, has its path first.
needed() { ldd "$1" | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'; }

if ldd "$binary" | grep 'not found' >&2; then
    echo "libraries.sh: $binary lacks the libraries above" >&2
    exit 1
fi
cuda=$(needed "$binary" | sed -n 's|libtorch_cpu\.so$|libtorch_cuda.so|p')
[ -e "$cuda" ] || cuda=
{
    needed "$binary"
    [ -z "$cuda" ] || { echo "$cuda"; needed "$cuda"; }
} | sort -u | while read -r library; do
    # As the loader finds it (torch/lib/../../nvidia/...), without the dots.
    library=$(realpath --no-symlinks "$library")
    case $library in "${root%/}"/*) ;; *) continue ;; esac
    folder=${library%/*}
    case $library in
    */libcudnn.so.*) set -- "$folder"/libcudnn*.so.* ;;
    */libnvrtc.so.*) set -- "$library" "$folder"/libnvrtc-builtins.so.* ;;
    *) set -- "$library" ;;
    esac
    mkdir -p "$image$folder"
    cp -L "$@" "$image$folder/"
done
