#!/bin/sh
# Shows the dashboard with something on it: pictures that the model that ships has drawn, others that
# are optimised while one looks on, and a file that is damaged. Ctrl-C ends it. What is made stays, and
# is shown again the next time.
#
#   dashboard.sh BIN FOLDER ADDRESS:PORT [OPTION ...]
#
# BIN has the programs, FOLDER gets the pictures; options are those of `stylefleet run`.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
bin=$1 folder=$2 address=$3
shift 3

mkdir -p "$folder"
damaged=$folder/damaged.png
head -c 20000 "$here/contents/lighthouse.png" >"$damaged" # a picture until a worker reads it

"$bin/stylefleet" apply "$here/contents" --model "$here/models/samples.safetensors" --out "$folder"
printf '\nThe dashboard is at  http://%s/  until Ctrl-C ends it.\n\n' "$address" >&2
"$bin/stylefleet" run "$damaged" "$here/contents" --style "$here/styles/night.png" \
    --style "$here/styles/wave.png" --style "$here/styles/glass.png" --preview-every 20 \
    --out "$folder" --dashboard="$address" "$@" || [ $? = 1 ] # some have failed: the damaged ones
exec "$bin/stylefleet" dashboard --folder "$folder" --listen "$address"
