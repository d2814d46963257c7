#!/bin/sh
# Makes the pictures of GALLERY.md anew: about 15 minutes on two cores. Needs a release build.
#
#   gallery.sh [NAME ...]    all, or those named; `network` are those that the model that ships makes,
#                            `video` those of a video, for which it needs ffmpeg
#
# Read from the environment: STYLEFLEET_CACHE, CARGO_TARGET_DIR, STYLEFLEET_WEIGHTS (see
# deploy/setup/setup.sh); STYLEFLEET_VGG16, a file of VGG16's weights: the picture that needs it is
# left out where there is none.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${STYLEFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/stylefleet}
bin=${CARGO_TARGET_DIR:-$cache/target}/release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here"

names=$*
# Enough to tell looks apart.
tiny="--style styles/wave.png --size 128 --coarse-evaluations 40 --evaluations 60"
wanted() { [ -z "$names" ] || case " $names " in *" $1 "*) ;; *) false ;; esac; }

# GALLERY.md's table is made of these lines: the name, then the command's own options.
pictures() {
    cat <<'END'
plain        --style styles/night.png
strength-02  --style styles/night.png --strength 0.2
strength-05  --style styles/night.png --strength 0.5
strength-08  --style styles/night.png --strength 0.8
masks        --style styles/night.png --mask masks/land.png --style styles/wave.png --mask masks/lake.png
wasserstein  --style styles/night.png --style-loss wasserstein --strength 0.5
luminance    --style styles/glass.png --keep-colors luminance
match        --style styles/glass.png --keep-colors match
histogram    --style styles/glass.png --keep-colors histogram
large        --style styles/wave.png --style-scale 2
small        --style styles/wave.png --style-scale 0.5
blend        --style styles/wave.png=1 --style styles/glass.png=1
texture      --style styles/night.png --init noise --content-weight 0
normalized   --style styles/wave.png --normalize-gradients --content-weight 0.3 --tv-weight 0.01
average      --style styles/night.png --optimizer adam --average 0.9
size-608     --style styles/wave.png --size 608 --evaluations 100
one-scale    --style styles/wave.png --size 608 --evaluations 100 --scales 1
progress     --style styles/wave.png --preview-every 75 --curve
preset-studio        --style styles/wave.png --size 160 --evaluations 120
preset-gatys         --style styles/wave.png --size 160 --preset gatys
preset-neural-style  --style styles/wave.png --size 160 --preset neural-style --evaluations 150
END
    for layer in conv1_1 conv2_1 conv3_1 conv4_1 conv5_1; do
        echo "layer-$layer $tiny --style-layers $layer --strength 0.8"
    done
    for preset in pastiche notebook; do echo "preset-$preset $tiny --preset $preset"; done
    echo "layers-shallow $tiny --style-layers conv1_1,conv2_1,conv3_1"
    echo "tv-none $tiny --tv-weight 0"
    echo "tv-studio $tiny"
    echo "tv-more $tiny --tv-weight 0.002"
    echo "tv-most $tiny --tv-weight 0.2"
    echo "pooling-max $tiny --pooling max"
    echo "content-deep $tiny --content-layers conv5_2"
    [ -z "${STYLEFLEET_VGG16:-}" ] || echo "vgg16 --style styles/night.png --network vgg16"
}

# Every sample in every style of the model that ships, and one of them in blends.
networks() {
    set -- --model models/samples.safetensors --size 304 --format jpeg --out "$work/network"
    "$bin/stylefleet" apply contents "$@"
    for blend in "night=1 wave=1" "wave=1 glass=1" "night=1 wave=1 glass=1"; do
        # shellcheck disable=SC2046,SC2086 # a list
        "$bin/stylefleet" apply contents/lighthouse.png $(printf ' --style %s' $blend) "$@"
    done
    for picture in "$work"/network/*.jpg; do
        mv "$picture" "gallery/network.${picture##*/}"
    done
}

# A window that moves over a sample: frames of the video, and under them what its middle column shows
# from frame to frame, once frame by frame and once as `video` does it.
video() {
    ffmpeg="ffmpeg -nostdin -loglevel error -y"
    window="scale=320:-1,crop=192:128:x='8+n*3':y='8+n'"
    $ffmpeg -loop 1 -framerate 12 -i contents/lighthouse.png -vf "$window" -frames:v 16 -c:v ffv1 "$work/pan.mkv"
    set -- --style styles/night.png --evaluations 40 --coarse-evaluations 40
    "$bin/stylefleet" video "$work/pan.mkv" "$@" --crf 0 --out "$work/pan/styled.mkv"
    $ffmpeg -i "$work/pan/styled.mkv" -vf "select='not(mod(n,5))',tile=4x1" -frames:v 1 -q:v 3 gallery/video.frames.jpg
    $ffmpeg -i "$work/pan/styled.mkv" -vf "format=rgb24,crop=1:ih:iw/2:0,tile=16x1,scale=192:128:flags=neighbor" \
        -frames:v 1 -q:v 3 gallery/video.column.jpg
    mkdir "$work/frames"
    $ffmpeg -i "$work/pan.mkv" "$work/frames/%02d.png"
    "$bin/stylefleet" run "$work/frames" "$@" --size 192x128 --out "$work/apart"
    $ffmpeg -i "$work/apart/%02d.night.png" -vf "format=rgb24,crop=1:ih:iw/2:0,tile=16x1,scale=192:128:flags=neighbor" \
        -frames:v 1 -q:v 3 gallery/video.column-apart.jpg
}

if wanted network; then networks; fi
if wanted video; then video; fi
pictures | while read -r name options; do
    wanted "$name" || continue
    case $options in *--size*) ;; *) options="$options --size 304" ;; esac
    [ "$name" != vgg16 ] || export STYLEFLEET_WEIGHTS="$STYLEFLEET_VGG16" # the last of all
    # shellcheck disable=SC2086 # a list
    "$bin/stylefleet" run contents/lighthouse.png $options --format jpeg --out "$work/$name"
    mv "$work/$name"/*.jpg "gallery/$name.jpg"
    for curve in "$work/$name"/*.svg; do
        [ ! -e "$curve" ] || mv "$curve" "gallery/$name.svg"
    done
    for preview in "$work/$name"/*.previews/*; do
        [ ! -e "$preview" ] || mv "$preview" "gallery/$name.${preview##*/}"
    done
done
