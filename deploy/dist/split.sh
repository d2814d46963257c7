#!/bin/sh
# Takes the symbols and line tables out of programs, and puts them into files beside them, PROGRAM.debug:
# nine tenths of what the compiler wrote, and read by debuggers and for a panic's backtrace alone.
#
#   split.sh PROGRAM...     one that is split already stays as it is
set -eu

for program; do
    ! readelf --section-headers --wide "$program" | grep -q '\.gnu_debuglink' || continue
    objcopy --only-keep-debug "$program" "$program.debug"
    strip -o "$program.part" "$program"
    objcopy --add-gnu-debuglink="$program.debug" "$program.part"
    mv "$program.part" "$program" # a new file: the old one may be running, or have other names
done
