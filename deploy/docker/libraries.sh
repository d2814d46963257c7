#!/bin/sh
# Copies the shared libraries of BINARY that lie under ROOT to the same place under IMAGE.
#
#   libraries.sh BINARY ROOT IMAGE
#
# Besides what the binary is linked with, it copies CUDA's half of libtorch with its own dependencies, which
# the worker loads if there is a GPU, and cuDNN's parts and NVRTC's builtins, which are opened by name when
# first needed. It leaves out the rest of torch (Python, Triton, debugging tools).
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
